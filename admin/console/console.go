// Package console is what browsers get: the dashboard, and the description of the API for
// people. All of it are files that hold nothing of this installation and need nothing from
// elsewhere; what they show, they ask the management API for.
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"
)

//go:embed files
var embedded embed.FS

const (
	// policy lets pages do what their own files do, and nothing from elsewhere.
	policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	// textOnly has browsers refuse what would make text into HTML. The viewer of the
	// description does that, with what it has cleaned.
	textOnly = "; require-trusted-types-for 'script'; trusted-types 'none'"
)

// pages are the files that have an address of their own; the others are below /console.
var pages = map[string]string{"/": "index.html", "/docs": "docs.html"}

var types = map[string]string{
	".html": fiber.MIMETextHTMLCharsetUTF8, ".css": "text/css; charset=utf-8", ".js": fiber.MIMETextJavaScriptCharsetUTF8, ".svg": "image/svg+xml",
}

// Register has app answer with the files. Nobody needs a key for them.
func Register(app *fiber.App) {
	files, err := fs.Sub(embedded, "files")
	if err == nil {
		for address, name := range pages {
			register(app, address, files, name)
		}
		err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && path.Ext(name) != ".html" {
				register(app, "/console/"+name, files, name)
			}
			return err
		})
	}
	if err != nil {
		panic(fmt.Sprintf("console: %v", err)) // the files are part of the program
	}
}

func register(app *fiber.App, address string, files fs.FS, name string) {
	text, err := fs.ReadFile(files, name)
	if err != nil {
		panic(fmt.Sprintf("console: %v", err))
	}
	f := newFile(name, text)
	app.Get(address, f.send)
}

// file is one of them.
type file struct {
	contentType, tag, policy string
	text                     []byte
	packed                   func() []byte
}

func newFile(name string, text []byte) *file {
	sum := sha256.Sum256(text)
	f := &file{text: text, contentType: types[path.Ext(name)], tag: `"` + hex.EncodeToString(sum[:8]) + `"`, policy: policy}
	if f.contentType == "" {
		f.contentType = fiber.MIMETextPlainCharsetUTF8
	}
	if name != pages["/docs"] {
		f.policy += textOnly
	}
	f.packed = sync.OnceValue(func() []byte { return pack(text) }) // most are never asked for
	return f
}

func pack(text []byte) []byte {
	var packed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	w.Write(text)
	w.Close()
	return packed.Bytes()
}

// send answers from memory that all answers share.
func (f *file) send(c *fiber.Ctx) error {
	for name, value := range map[string]string{
		fiber.HeaderContentType:           f.contentType,
		fiber.HeaderContentSecurityPolicy: f.policy,
		fiber.HeaderXContentTypeOptions:   "nosniff",
		fiber.HeaderReferrerPolicy:        "no-referrer",
		fiber.HeaderXFrameOptions:         "DENY",
		"Cross-Origin-Opener-Policy":      "same-origin",
		"Cross-Origin-Resource-Policy":    "same-origin",
		fiber.HeaderCacheControl:          "no-cache", // a new version has the same addresses
		fiber.HeaderETag:                  f.tag,
		fiber.HeaderVary:                  fiber.HeaderAcceptEncoding,
	} {
		c.Set(name, value)
	}
	if strings.Contains(c.Get(fiber.HeaderIfNoneMatch), f.tag) {
		return c.SendStatus(http.StatusNotModified)
	}
	if c.Request().Header.HasAcceptEncoding("gzip") {
		c.Set(fiber.HeaderContentEncoding, "gzip")
		c.Response().SetBodyRaw(f.packed())
		return nil
	}
	c.Response().SetBodyRaw(f.text)
	return nil
}
