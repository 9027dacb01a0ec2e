// Package config is the configuration of the program. [Load] reads it from a YAML
// file, the environment and flags by package settings, which see for what wins, what
// may be shown, and how mistakes are reported.
//
// What a setting means, its default and what it accepts belongs to the package that
// uses it. This package nests their Configs, adds the settings of the program as a
// whole, and checks what no package can know alone.
package config
