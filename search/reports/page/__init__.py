"""Pages of the reports: templates, style and script, put together into one file."""
