"""Generated parts of the chart: values.schema.json and the table of values in its README."""
