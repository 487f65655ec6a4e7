package selftest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/faultline-go/faultline/sdk/schema"
)

const (
	pluginPrefix = schema.BinaryPrefix
	programName  = "faultline"
)

const killSignal = syscall.SIGKILL

// ownSession keeps a terminal's signals away: the self-test ends what it started by
// itself, and in order.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// lab is the folder in which a self-test happens, and all that its cases share.
//
//	DIR/bin/          copies of faultline and its plugins
//	DIR/cache/        what faultline remembers of plugins
//	DIR/t/            for temporary files of what we start
//	DIR/1/, DIR/2/ …  a folder a case: links to the copies, its state folder, its logs
type lab struct {
	dir     string
	bin     string
	program string // the copy in bin
	from    []string
	getenv  func(string) string

	plugins map[string]string // a fault's type, or the user's plugin's name → plugin
	makers  map[string]maker
	own     *Own
	dock    *dock // nil without Docker
	heart   *heart

	mu     sync.Mutex
	number int    // of the last case
	warm   string // the folder of copies that an earlier case's state folder has
	kept   bool   // a case's folder is kept
}

func openLab(o Options) (_ *lab, err error) {
	dir, err := os.MkdirTemp("", "faultline-selftest-")
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir) // as /proc will say it
	}
	if err != nil {
		return nil, fmt.Errorf("make a folder for the self-test: %w", err)
	}
	l := &lab{
		dir: dir, bin: filepath.Join(dir, "bin"), from: o.PluginDirs, getenv: o.Getenv,
		plugins: map[string]string{}, makers: map[string]maker{},
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	l.program = filepath.Join(l.bin, programName)
	for _, d := range []string{l.bin, l.temporary()} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return nil, fmt.Errorf("make a folder for the self-test: %w", err)
		}
	}
	if err := copyFile(o.Program, l.program); err != nil {
		return nil, fmt.Errorf("copy faultline: %w", err)
	}
	if l.heart, err = startHeart(); err != nil {
		return nil, err
	}
	return l, nil
}

// temporary is where an engine that dies while it starts a plugin leaves the folder of
// its socket. The name is short, as paths of sockets must be.
func (l *lab) temporary() string { return filepath.Join(l.dir, "t") }

// addPlugin copies one of our own plugins.
func (l *lab) addPlugin(name string) error {
	for _, dir := range l.from {
		path := filepath.Join(dir, pluginPrefix+name)
		err := copyFile(path, filepath.Join(l.bin, pluginPrefix+name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("copy plugin %s: %w", name, err)
		}
		return nil
	}
	return fmt.Errorf("%s%s is not in %s", pluginPrefix, name, strings.Join(l.from, ", "))
}

// pluginOf is the plugin that serves a fault of ours, or the user's.
func (l *lab) pluginOf(fault string) string {
	if name, ok := l.plugins[fault]; ok {
		return name
	}
	name, _, _ := strings.Cut(fault, "_")
	return name
}

// place makes the folder of the next case.
func (l *lab) place() (string, error) {
	l.mu.Lock()
	l.number++
	dir, warm := filepath.Join(l.dir, fmt.Sprint(l.number)), l.warm
	l.mu.Unlock()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("make a case's folder: %w", err)
	}
	if err := os.Link(l.program, filepath.Join(dir, programName)); err != nil {
		return dir, fmt.Errorf("make a case's folder: %w", err)
	}
	if warm == "" {
		return dir, nil
	}
	return dir, linkTree(warm, filepath.Join(dir, "state", keptPlugins))
}

// keptPlugins is where a state folder keeps copies of plugins. They are the same for
// every case: only the first ones are copied and synced to disk.
const keptPlugins = "plugins"

// warmUp lets later cases begin with the copies that this one has made.
func (l *lab) warmUp(dir string) error {
	to := filepath.Join(l.dir, "warm-"+filepath.Base(dir))
	if err := linkTree(filepath.Join(dir, "state", keptPlugins), to); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, earlier := range []string{l.warm} {
		if earlier == "" {
			continue
		}
		if err := linkTree(earlier, to); err != nil {
			return err
		}
	}
	l.warm = to
	return nil
}

// linkTree makes a folder with links to all files of another; what is there already
// stays.
func linkTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		}
		if err := os.Link(path, filepath.Join(to, name)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	})
}

// keep leaves a case's folder where it is, for whoever looks into it.
func (l *lab) keep() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = true
}

// close ends whatever still runs and removes everything but the folders that are
// kept.
func (l *lab) close(ctx context.Context) error {
	failed := []error{endAll(ctx, l.dir, "")}
	if l.dock != nil {
		failed = append(failed, l.dock.close(ctx))
	}
	l.heart.close()
	if !l.kept {
		return errors.Join(append(failed, os.RemoveAll(l.dir))...)
	}
	entries, err := os.ReadDir(l.dir)
	failed = append(failed, err)
	for _, e := range entries {
		if strings.Trim(e.Name(), "0123456789") != "" { // no case
			failed = append(failed, os.RemoveAll(filepath.Join(l.dir, e.Name())))
		}
	}
	return errors.Join(failed...)
}

// copyFile copies a program.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) }
