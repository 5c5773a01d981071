"""What many robots remember, in one archive of Parquet files, and its catalogue in PostgreSQL."""
