package main

import (
	"embed"
	"fmt"
	"os"
	"text/template"
)

//go:embed templates
var templateFiles embed.FS

// writeTemplate fills an embedded template and writes it to path.
func writeTemplate(path, name string, values map[string]any) error {
	t, err := template.New(name).Option("missingkey=error").ParseFS(templateFiles, "templates/"+name, "templates/summary.lua")
	if err != nil {
		return fmt.Errorf("template %s: %w", name, err)
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := t.Execute(file, values); err != nil {
		_ = file.Close()
		return fmt.Errorf("template %s: %w", name, err)
	}
	return file.Close()
}
