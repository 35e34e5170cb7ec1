"""Convert the options of other trainers to configs and commands of ours."""
