// Package config reads the settings of the program from its three sources. A
// flag wins over the environment, that over the YAML file, and that over the
// default, setting by setting: a list or a map is replaced, never merged.
//
// A wrong value is an error and never a silent default, and [Load] reports all of
// them at once, in the words of an operator. To make that possible every source
// is brought to plain text first and knows where each text came from; only then
// is the text read as what the setting wants, by one set of rules for all
// sources.
//
// What a setting means, its default and what it accepts belongs to the package
// that uses it. This package nests their Configs and adds the settings of the
// program as a whole.
package config
