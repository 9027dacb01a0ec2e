-- Gets one path and reports as one line.
wrk.path = "{{.Path}}"

{{template "summary"}}
