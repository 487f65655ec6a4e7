package scenario

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Bounds of what is read as a scenario file. A parser that descends recursively
// would exhaust the stack on a file of nothing but brackets.
const (
	maxFileBytes = 32 << 20
	maxNesting   = 500
	chunkBytes   = 16 << 10
)

// source is one file: its text and what it was parsed into.
type source struct {
	path   string
	text   []byte
	blocks []*hclsyntax.Block // in source order
	loose  []*hclsyntax.Attribute
}

// readSources reads every *.hcl of a folder, sorted by name, or a single file.
// Files in skip (variable files that happen to end in .hcl) are left out.
func readSources(path string, skip []string) ([]*source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	if !info.IsDir() {
		text, err := readBounded(path)
		if err != nil {
			return nil, err
		}
		return []*source{{path: path, text: text}}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("read scenario folder: %w", err)
	}
	var all []*source
	for _, e := range entries { // ReadDir sorts by name
		name := e.Name()
		if e.IsDir() || !strings.HasSuffix(name, ".hcl") || strings.HasPrefix(name, ".") {
			continue
		}
		file := filepath.Join(path, name)
		if sameFileAsAny(file, skip) {
			continue
		}
		text, err := readBounded(file)
		if err != nil {
			return nil, err
		}
		all = append(all, &source{path: file, text: text})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("the folder %s has no *.hcl file; `faultline new` writes a scenario to start from", path)
	}
	return all, nil
}

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read scenario file: %w", err)
	}
	if info.Size() > maxFileBytes {
		return nil, fmt.Errorf("the file %s has %d MB, and %d MB is the most that is read; split it", path, info.Size()>>20, maxFileBytes>>20)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read scenario file: %w", err)
	}
	return text, nil
}

func sameFileAsAny(path string, others []string) bool {
	a, err := os.Stat(path)
	if err != nil {
		return false
	}
	for _, o := range others {
		if b, err := os.Stat(o); err == nil && os.SameFile(a, b) {
			return true
		}
	}
	return false
}

func (s *source) file() File {
	sum := sha256.Sum256(s.text)
	return File{Path: s.path, SHA256: hex.EncodeToString(sum[:]), Text: string(s.text)}
}

// parse reads the text once. A large file is cut at places that look like the end
// of a top-level block, and the pieces are parsed side by side: that is faster, and
// takes much less memory, as the parser holds every token of what it is given.
//
// A cut can be wrong (inside a comment or a heredoc), but not unnoticed: if a piece
// that ends there parses without error, its end was outside everything, and
// so the next piece means what it would have meant in the whole. If any piece has
// an error, the text is parsed as a whole, for the right diagnostics.
func (s *source) parse() hcl.Diagnostics {
	if d := s.acting(); d != nil {
		return hcl.Diagnostics{d}
	}
	if d := s.tooDeep(); d != nil {
		return hcl.Diagnostics{d}
	}
	pieces := s.pieces()
	bodies := make([]*hclsyntax.Body, len(pieces))
	var wg sync.WaitGroup
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, p := range pieces {
		wg.Add(1)
		free <- struct{}{}
		go func() {
			defer func() { <-free; wg.Done() }()
			f, diags := hclsyntax.ParseConfig(s.text[p.from:p.to], s.path, hcl.Pos{Line: p.line, Column: 1, Byte: p.from})
			if len(diags) == 0 {
				bodies[i] = f.Body.(*hclsyntax.Body)
			}
		}()
	}
	wg.Wait()
	var diags hcl.Diagnostics
	for _, b := range bodies {
		if b == nil {
			var f *hcl.File
			f, diags = hclsyntax.ParseConfig(s.text, s.path, hcl.InitialPos)
			bodies = nil
			if f != nil {
				if whole, ok := f.Body.(*hclsyntax.Body); ok {
					bodies = []*hclsyntax.Body{whole}
				}
			}
			break
		}
	}
	for _, b := range bodies {
		s.blocks = append(s.blocks, b.Blocks...)
		s.loose = append(s.loose, byPlace(b.Attributes)...)
	}
	// One mistake in the syntax leads the parser astray: what it says after the first
	// is seldom another mistake.
	return diags[:min(len(diags), 1)]
}

type piece struct{ from, to, line int }

func (s *source) pieces() []piece {
	var all []piece
	from, line := 0, 1
	for len(s.text)-from > 2*chunkBytes {
		end := bytes.Index(s.text[from+chunkBytes:], []byte("\n}\n"))
		if end < 0 {
			break
		}
		to := from + chunkBytes + end + 3
		all = append(all, piece{from, to, line})
		line += bytes.Count(s.text[from:to], []byte("\n"))
		from = to
	}
	return append(all, piece{from, len(s.text), line})
}

// tooDeep refuses texts that nest deeper than anybody writes.
func (s *source) tooDeep() *hcl.Diagnostic {
	depth, run, line := 0, 0, 1
	for i, c := range s.text {
		switch c {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		case '\n':
			line++
			run = 0
		case '!', '-', '?':
			run++
		}
		if depth > maxNesting || run > maxNesting {
			at := hcl.Pos{Line: line, Column: 1, Byte: i}
			return &hcl.Diagnostic{
				Severity: hcl.DiagError,
				Summary:  "Nested too deeply",
				Detail:   fmt.Sprintf("More than %d brackets or operators are open here. If this is text, put it into a file of its own.", maxNesting),
				Subject:  &hcl.Range{Filename: s.path, Start: at, End: at},
			}
		}
	}
	return nil
}

// lineOf returns the line in which a range starts, and the part of it that the
// range covers.
func (s *source) lineOf(r hcl.Range) (line string, from, to int, ok bool) {
	if s == nil || r.Start.Byte > len(s.text) {
		return "", 0, 0, false
	}
	begin := bytes.LastIndexByte(s.text[:r.Start.Byte], '\n') + 1
	end := len(s.text)
	if n := bytes.IndexByte(s.text[r.Start.Byte:], '\n'); n >= 0 {
		end = r.Start.Byte + n
	}
	text := strings.TrimSuffix(string(s.text[begin:end]), "\r")
	from = min(r.Start.Byte-begin, len(text))
	to = min(max(r.End.Byte-begin, from), len(text))
	return text, from, to, true
}

// blockAt names the top-level block around a place, as it stands in the file.
func (s *source) blockAt(offset int) string {
	if s == nil {
		return ""
	}
	i := sort.Search(len(s.blocks), func(i int) bool { return s.blocks[i].CloseBraceRange.End.Byte >= offset })
	if i == len(s.blocks) || s.blocks[i].TypeRange.Start.Byte >= offset {
		return ""
	}
	b := s.blocks[i]
	name := b.Type
	for _, l := range b.Labels {
		name += fmt.Sprintf(" %q", l)
	}
	return name
}

// textOf is the source text of a range.
func (s *source) textOf(r hcl.Range) string {
	if s == nil || r.Start.Byte > r.End.Byte || r.End.Byte > len(s.text) {
		return ""
	}
	return string(s.text[r.Start.Byte:r.End.Byte])
}

// byPlace lists attributes in source order.
func byPlace(m hclsyntax.Attributes) []*hclsyntax.Attribute {
	all := make([]*hclsyntax.Attribute, 0, len(m))
	for _, a := range m {
		all = append(all, a)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].SrcRange.Start.Byte < all[j].SrcRange.Start.Byte })
	return all
}

// place is "file:line".
func place(r hcl.Range) string { return fmt.Sprintf("%s:%d", r.Filename, r.Start.Line) }
