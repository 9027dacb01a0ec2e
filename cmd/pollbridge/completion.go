package main

import (
	"context"
	"embed"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"pollbridge/admin/api"

	"github.com/alecthomas/kong"
)

//go:embed completion
var completionScripts embed.FS

// completionCmd prints a script of a shell, which asks completeCmd.
type completionCmd struct {
	Shell string `arg:"" name:"shell" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is shown by --help below the summary.
func (completionCmd) Help() string {
	return `For the shells that are started from now on:

  bash   echo 'source <(pollbridge completion bash)' >>~/.bashrc
  zsh    echo 'source <(pollbridge completion zsh)' >>~/.zshrc
  fish   pollbridge completion fish >~/.config/fish/completions/pollbridge.fish`
}

// Run prints the script.
func (c *completionCmd) Run(out io.Writer) error {
	script, err := completionScripts.ReadFile("completion/pollbridge." + c.Shell)
	if err != nil {
		return err
	}
	_, err = out.Write(script)
	return err
}

// completeCmd prints what may stand in place of the last of some words: in each line a
// word, a tab and what it means. It prints nothing where anything may stand.
type completeCmd struct {
	Words []string `arg:"" optional:"" passthrough:""`
}

// Run prints words that complete. It fails silently: a shell asks at each key.
func (c *completeCmd) Run(ctx context.Context, app *kong.Kong, out io.Writer) error {
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	if len(words) == 0 {
		words = []string{""}
	}
	last := words[len(words)-1]
	if last == "=" {
		last = ""
	}
	for _, found := range readWords(app.Model.Node, words[:len(words)-1]).candidates(ctx, last) {
		if strings.HasPrefix(found[0], last) {
			fmt.Fprintf(out, "%s\t%s\n", printable(found[0]), printable(found[1]))
		}
	}
	return nil
}

// position is where in a command line a word is to be completed.
type position struct {
	node      *kong.Node
	arguments int               // that were given
	flag      *kong.Flag        // which wants a value
	values    map[string]string // of flags that were given
}

// readWords follows words that may be incomplete, or wrong.
func readWords(root *kong.Node, words []string) position {
	p := position{node: root, values: map[string]string{}}
	for _, word := range words {
		if p.flag != nil {
			if word != "=" { // which bash makes a word of its own
				p.values[p.flag.Name], p.flag = word, nil
			}
			continue
		}
		if name, value, assigned := strings.Cut(word, "="); strings.HasPrefix(word, "-") {
			flag := p.find(name)
			switch {
			case flag == nil:
			case assigned:
				p.values[flag.Name] = value
			case !flag.IsBool():
				p.flag = flag
			}
			continue
		}
		if i := slices.IndexFunc(p.node.Children, func(n *kong.Node) bool { return n.Name == word }); i >= 0 {
			p.node = p.node.Children[i]
		} else {
			p.arguments++
		}
	}
	return p
}

func (p position) flags() []*kong.Flag { return slices.Concat(p.node.AllFlags(true)...) }

func (p position) find(name string) *kong.Flag {
	flags := p.flags()
	if i := slices.IndexFunc(flags, func(f *kong.Flag) bool {
		return name == "--"+f.Name || f.Short != 0 && name == "-"+string(f.Short)
	}); i >= 0 {
		return flags[i]
	}
	return nil
}

// candidates are words that may stand at the position, each with what it means. word is
// what there is of it.
func (p position) candidates(ctx context.Context, word string) (all [][2]string) {
	name, _, assigned := strings.Cut(word, "=")
	switch {
	case p.flag != nil:
		return p.choices(ctx, p.flag.Value)
	case assigned && p.find(name) != nil:
		all = p.choices(ctx, p.find(name).Value)
		for i := range all {
			all[i][0] = name + "=" + all[i][0]
		}
	case strings.HasPrefix(word, "-"):
		for _, flag := range p.flags() {
			all = append(all, [2]string{"--" + flag.Name, flag.Help})
		}
	case p.arguments < len(p.node.Positional):
		return p.choices(ctx, p.node.Positional[p.arguments])
	case p.arguments == 0:
		for _, command := range p.node.Children {
			if !command.Hidden {
				all = append(all, [2]string{command.Name, command.Help})
			}
		}
	}
	return all
}

// choices are the values that a flag or an argument may have, as far as they are known:
// its tag "complete" lists them, or says of what they are the ids.
func (p position) choices(ctx context.Context, of *kong.Value) (all [][2]string) {
	known := of.Tag.Get("complete")
	if known == "subscriptions" {
		return p.subscriptions(ctx)
	}
	if known == "" {
		known = of.Tag.Enum
	}
	for _, choice := range items(known) {
		all = append(all, [2]string{choice, ""})
	}
	return all
}

// subscriptions are the ids that the bridge has, with their hosts: the rest of a URL may be
// a secret.
func (p position) subscriptions(ctx context.Context) (all [][2]string) {
	const patience = time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if p.values["key-file"] == "-" {
		return nil
	}
	r := remote{Server: p.value("server"), KeyFile: p.value("key-file"), Key: p.value("key"), CAFile: p.value("ca-file"), DataDir: p.value("data-dir"), Config: p.values["config"]}
	to, err := r.connect(&streams{&input{Reader: strings.NewReader("")}, io.Discard, io.Discard})
	if err != nil {
		return nil
	}
	found, err := to.Subscriptions(ctx, api.Page{Limit: 200})
	if err != nil {
		return nil
	}
	for _, s := range found.Items {
		if address, err := url.Parse(s.URL); err == nil {
			all = append(all, [2]string{s.ID, address.Host + ", " + subscriptionState(s)})
		}
	}
	return all
}

// value is that of a flag, or nil.
func (p position) value(flag string) *string {
	if value, found := p.values[flag]; found {
		return &value
	}
	return nil
}
