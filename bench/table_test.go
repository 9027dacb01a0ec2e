package main

import (
	"strings"
	"testing"
)

var (
	tableHead = []string{"server", "× Fiber"}
	tableRows = [][]string{{"nginx", "2.01"}, {"bare Fiber", "1.00"}}
)

func TestTextTable(t *testing.T) {
	var b strings.Builder
	writeText(&b, "hot", tableHead, tableRows)
	want := `hot
  server      × Fiber
  nginx          2.01
  bare Fiber     1.00
`
	if b.String() != want {
		t.Errorf("got:\n%swant:\n%s", b.String(), want)
	}
}

func TestMarkdownTable(t *testing.T) {
	var b strings.Builder
	writeMarkdown(&b, "hot", tableHead, tableRows)
	want := `**hot**

| server | × Fiber |
|---|---:|
| nginx | 2.01 |
| bare Fiber | 1.00 |
`
	if b.String() != want {
		t.Errorf("got:\n%swant:\n%s", b.String(), want)
	}
}
