// Package settings reads a struct of settings from a YAML file, the environment and
// flags, and prints it. A flag wins over the environment, that over the file, and that
// over what stood in the struct before, setting by setting: a list or a table is
// replaced, never merged.
//
// A setting is a field with a yaml tag. A struct is a section, a slice a list, a map a
// table, and anything else is one text: a string, a number, true or false, a duration,
// a network, or what reads itself. Its secret tag says what may be shown of it:
//
//	secret:"true"    it is a secret, and so may be whatever stands under its name
//	secret:"maybe"   it may hold one, or be taken for one, such as the path of a key's
//	                 file: it is shown once it is known to be right, but not in a mistake
//
// A wrong value is a mistake and never a silent default, and all mistakes are reported
// at once, in the words of an operator, with the line or the variable that they stand
// in. None quotes what may be a secret: not a value of the settings above, and not a
// name that nobody would give to a setting.
//
// The package is a leaf: it knows none of the program's settings.
package settings
