package scenario

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// An entry is an experiment for others to use: a folder of *.hcl files with one
// experiment, the targets and local values that it needs, and variables that are its
// inputs. A scenario names it by the source of an experiment.
type entry struct {
	source string // as written: "catalog:chaos-monkey", "./experiments/x"
	files  []*source
	blocks []*hclsyntax.Block // of all files
	loose  []*hclsyntax.Attribute
	broken bool // its syntax is, which is reported: what was understood may be anything
}

const catalogScheme = "catalog:"

// entryBlocks are the blocks of an entry. What else a scenario has stays the
// scenario's: what healthy means, when to stop, and how far to go.
var entryBlocks = []string{"variable", "locals", "target", "experiment"}

// sourceOf reads the source of an experiment, and the entry that it names. It is nil
// when there is none, which is reported.
func (l *loader) sourceOf(attr *hclsyntax.Attribute) *entry {
	at := attr.Expr.Range()
	if len(attr.Expr.Variables()) > 0 {
		l.error(at, "Source not constant", "A source is a constant text, as it is read before anything has a value.")
		return nil
	}
	a := &args{l: l, body: &hclsyntax.Body{Attributes: hclsyntax.Attributes{"source": attr}}, at: at, what: "an experiment block", ctx: l.functions}
	name := a.str("source", "")
	if a.bad {
		return nil
	}
	key := name
	isFolder := strings.HasPrefix(name, "./") || strings.HasPrefix(name, "../") || filepath.IsAbs(name)
	if isFolder {
		key = filepath.Clean(fromFolderOf(at.Filename, name))
	}
	if e, ok := l.entries[key]; ok {
		return e
	}
	var files []*source
	var err error
	switch {
	case isFolder:
		if files, err = readSources(key, nil); err == nil {
			break
		}
		l.error(at, "Cannot read the source", "The source %q is the folder %s, and that cannot be read: %s.", name, key, err)
		return nil
	case strings.HasPrefix(name, catalogScheme):
		if files = l.fromCatalog(strings.TrimPrefix(name, catalogScheme), at); files == nil {
			return nil
		}
	default:
		hint := l.didYouMean(name, catalogNames(l.opts.Catalog))
		if hint != "" {
			hint += " Write it with catalog: before its name."
		}
		l.error(at, "Unknown source", `%q is no source: that is "catalog:NAME" for one of the catalogue, or a folder such as "./experiments/mine".%s`, name, hint)
		return nil
	}
	e := l.readEntry(name, files)
	l.entries[key] = e
	return e
}

// fromFolderOf is a path that is relative to the folder of a file.
func fromFolderOf(file, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(file), path)
}

// fromCatalog reads the files of an entry of the catalogue.
func (l *loader) fromCatalog(name string, at hcl.Range) []*source {
	if l.opts.Catalog == nil {
		l.error(at, "No catalogue", "There is no catalogue here to take %q from.", name)
		return nil
	}
	names := catalogNames(l.opts.Catalog)
	if !slices.Contains(names, name) {
		hint := l.didYouMean(name, names)
		if hint == "" {
			hint = " `faultline catalog` lists what there is."
		}
		l.error(at, "Unknown source", "There is no experiment %q in the catalogue.%s", name, hint)
		return nil
	}
	files, err := catalogSources(l.opts.Catalog, name)
	if err != nil {
		l.error(at, "Cannot read the source", "The catalogue's %s cannot be read: %s.", name, err)
		return nil
	}
	return files
}

// catalogNames lists the entries of a catalogue, sorted.
func catalogNames(catalog fs.FS) []string {
	if catalog == nil {
		return nil
	}
	all, err := fs.ReadDir(catalog, ".")
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range all {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// catalogSources reads the *.hcl files of an entry, in order of name.
func catalogSources(catalog fs.FS, name string) ([]*source, error) {
	paths, err := fs.Glob(catalog, path.Join(name, "*.hcl"))
	if err != nil {
		return nil, err
	}
	var all []*source
	for _, p := range paths {
		text, err := fs.ReadFile(catalog, p)
		if err != nil {
			return nil, err
		}
		all = append(all, &source{path: catalogScheme + p, text: text})
	}
	if len(all) == 0 {
		return nil, errors.New("it has no *.hcl file")
	}
	return all, nil
}

// readEntry parses the files of an entry, and enters them among those of the scenario.
func (l *loader) readEntry(name string, files []*source) *entry {
	e := &entry{source: name, files: files}
	for _, f := range files {
		l.sources[f.path] = f
		file := f.file()
		file.Name = path.Join(filepath.ToSlash(name), path.Base(filepath.ToSlash(f.path)))
		l.scenario.Files = append(l.scenario.Files, file)
		for _, d := range f.parse() {
			l.add(d)
			e.broken = e.broken || d.Severity == hcl.DiagError
		}
		e.blocks = append(e.blocks, f.blocks...)
		e.loose = append(e.loose, f.loose...)
	}
	return e
}

// collectEntry sorts the blocks of an entry, and reports those that stand in no entry.
// It returns the experiment.
func (l *loader) collectEntry(e *entry) *hclsyntax.Block {
	for _, attr := range e.loose {
		l.error(attr.NameRange, "Argument outside a block", "%q stands outside every block.%s", attr.Name, l.didYouMean(attr.Name, entryBlocks))
	}
	for _, b := range e.blocks {
		if slices.Contains(entryBlocks, b.Type) {
			l.collectBlock(b, entryBlocks)
			continue
		}
		if topLevel[b.Type] != nil {
			l.error(b.TypeRange, "Block of a scenario", "An experiment that others use has no %s block: that is said by the scenario that uses it.", b.Type)
			continue
		}
		l.collectBlock(b, entryBlocks)
	}
	var only *hclsyntax.Block
	for _, b := range l.blocks["experiment"] {
		if only != nil {
			l.error(b.DefRange(), "Second experiment", "An experiment is already declared at %s, and a source has one. Move this one to a folder of its own.", place(only.DefRange()))
			continue
		}
		only = b
	}
	if only == nil {
		l.error(e.files[0].start(), "No experiment", "The source %s has no experiment block, so there is nothing to use.", e.source)
	}
	return only
}

// start is the place of a file as a whole.
func (s *source) start() hcl.Range {
	return hcl.Range{Filename: s.path, Start: hcl.InitialPos, End: hcl.InitialPos}
}

// Entry describes an experiment for others to use, for people who want to.
type Entry struct {
	Name   string   `json:"name"`
	Source string   `json:"source"` // what an experiment says to use it
	Inputs []Input  `json:"inputs"` // in the order in which they are declared
	Faults []string `json:"faults"` // types, in order of their first use
}

// Input is a value that an entry takes.
type Input struct {
	Name      string `json:"name"`
	Type      string `json:"type"`
	Required  bool   `json:"required"`
	Default   string `json:"default,omitempty"` // as it stands in the file
	Sensitive bool   `json:"sensitive,omitempty"`
	About     string `json:"about"`
}

// Describe reads what an entry of the catalogue, or of a folder, takes. It asks no
// plugin. The diagnostics are never nil; with errors the entry is.
func Describe(catalog fs.FS, name string) (*Entry, *Diagnostics) {
	l := newLoader(name, Options{Catalog: catalog})
	var files []*source
	var err error
	e := &Entry{Name: strings.TrimPrefix(name, catalogScheme), Source: name, Inputs: []Input{}}
	if strings.ContainsAny(name, `/\`) || name == "." {
		files, err = readSources(name, nil)
		e.Name = filepath.Base(filepath.Clean(name))
	} else {
		e.Source = catalogScheme + e.Name
		if files, err = catalogSources(catalog, e.Name); err != nil {
			err = fmt.Errorf("there is no experiment %q in the catalogue", e.Name)
			if n := closest(e.Name, catalogNames(catalog)); n != "" {
				err = fmt.Errorf("%w; did you mean %q?", err, n)
			}
		}
	}
	if err != nil {
		return nil, &Diagnostics{list: hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Cannot read the experiment", Detail: upperFirst(err.Error())}}}
	}
	read := l.readEntry(e.Source, files)
	l.functions = &hcl.EvalContext{Functions: functions()}
	var block *hclsyntax.Block
	if !read.broken {
		block = l.collectEntry(read)
	}
	for _, b := range l.blocks["variable"] {
		e.Inputs = append(e.Inputs, l.input(b))
	}
	if block != nil {
		for _, b := range block.Body.Blocks {
			if b.Type == "fault" && len(b.Labels) > 0 && !slices.Contains(e.Faults, b.Labels[0]) {
				e.Faults = append(e.Faults, b.Labels[0])
			}
		}
	}
	sortByPlace(l.diags)
	d := &Diagnostics{list: l.diags, sources: l.sources}
	if d.HasErrors() {
		return nil, d
	}
	return e, d
}

// input describes one variable block.
func (l *loader) input(b *hclsyntax.Block) Input {
	in := Input{Name: b.Labels[0], Type: "any", Required: true}
	a := l.args(b, "a variable block", l.functions)
	in.About = a.str("description", "")
	in.Sensitive = a.boolean("sensitive", false)
	if attr := b.Body.Attributes["type"]; attr != nil {
		in.Type = l.text(attr.Expr.Range())
	}
	if attr := b.Body.Attributes["default"]; attr != nil {
		in.Required, in.Default = false, l.text(attr.Expr.Range())
	}
	return in
}

// WriteTable writes the inputs as a table in Markdown, which a README can have.
func (e *Entry) WriteTable(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| input | type | default | what it is |\n|---|---|---|---|\n")
	cell := func(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
	for _, in := range e.Inputs {
		value := "required"
		if !in.Required {
			value = "`" + cell(in.Default) + "`"
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", in.Name, cell(in.Type), value, cell(in.About))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// ReadEntryFile reads a file beside an entry's experiment, such as its README; it is
// empty when there is none.
func ReadEntryFile(catalog fs.FS, name, file string) (string, error) {
	var raw []byte
	var err error
	if strings.ContainsAny(name, `/\`) || name == "." {
		raw, err = os.ReadFile(filepath.Join(name, file))
	} else {
		raw, err = fs.ReadFile(catalog, path.Join(strings.TrimPrefix(name, catalogScheme), file))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(raw), err
}
