"""From the ledger to MLflow, and the local MLflow server."""
