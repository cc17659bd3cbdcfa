"""AdaMTL: input-dependent inference with policies that know the tasks."""
