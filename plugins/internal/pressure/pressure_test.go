package pressure

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/sdk"
)

func TestMain(m *testing.M) {
	Main()
	os.Exit(m.Run())
}

func TestAmountOf(t *testing.T) {
	if amountOf(nil) != nil {
		t.Error("nothing became something")
	}
	for given, want := range map[sdk.Amount]Amount{
		{Bytes: 17}: {Bytes: 17}, {Percent: 12.5, IsShare: true}: {Percent: true, Share: 0.125}, {IsShare: true}: {Percent: true},
	} {
		if got := amountOf(&given); *got != want {
			t.Errorf("%s is %+v", given, got)
		}
	}
}

func TestWhatIsTaken(t *testing.T) {
	half, most, small := Amount{Percent: true, Share: 0.5}, Amount{Percent: true, Share: 0.9}, Amount{Bytes: 10}
	for name, c := range map[string]struct {
		size, until     *Amount
		stays           Amount
		available, want int64
		fails           string
	}{
		"a size":                 {size: &small, available: 100, want: 10},
		"a share":                {size: &half, available: 600, want: 500},
		"until":                  {until: &most, available: 600, want: 500},
		"what is reached":        {until: &half, available: 400, fails: "in use already"},
		"down to what must stay": {size: &half, stays: Amount{Bytes: 100}, available: 600, want: 500},
		"beyond it":              {size: &half, stays: Amount{Bytes: 101}, available: 600, fails: "would cross"},
		"more than there is":     {size: &half, available: 499, fails: "would cross"},
	} {
		t.Run(name, func(t *testing.T) {
			memory, err := Memory{Size: c.size, Until: c.until, Floor: c.stays}.want(room{available: c.available, whole: 1000})
			check(t, memory, err, c.want, c.fails)
			disk, err := Disk{Size: c.size, Until: c.until, Reserve: c.stays}.want(space{free: c.available, whole: 1000})
			check(t, disk, err, c.want, c.fails)
		})
	}
}

func check(t *testing.T, got int64, err error, want int64, fails string) {
	t.Helper()
	switch {
	case fails == "" && (err != nil || got != want):
		t.Errorf("takes %d, %v; want %d", got, err, want)
	case fails != "" && (err == nil || !strings.Contains(err.Error(), fails)):
		t.Errorf("takes %d, %v; want the error %q", got, err, fails)
	}
}

func TestLoadsThatCannotBe(t *testing.T) {
	some, none := &Amount{Bytes: 1}, &Amount{}
	for want, l := range map[string]Load{
		"nothing to do":      {},
		"load goes from":     {CPU: &CPU{Load: 1.1}},
		"say how much":       {Memory: &Memory{}},
		"exclude each other": {Memory: &Memory{Size: some, Until: some}},
		"no pressure":        {Disk: &Disk{Path: "/", Size: none}},
		"is not absolute":    {Disk: &Disk{Path: "tmp", Size: some}},
		"neither read nor":   {IO: &IO{Path: "/", Workers: 1, Size: ioBlock}},
		"at least one":       {IO: &IO{Path: "/", Read: true, Size: ioBlock}},
	} {
		if err := l.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", l, err, want)
		}
	}
}

// A file system that cannot reserve space has it written.
func TestWrittenSpace(t *testing.T) {
	folder, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	f := filler{}
	if f.file, err = nameless(folder, "mark", 0); err != nil {
		t.Fatal(err)
	}
	defer f.file.Close()
	if err := f.write(writeStep); err != nil {
		t.Fatal(err)
	}
	var s unix.Stat_t
	if err := unix.Fstat(int(f.file.Fd()), &s); err != nil || s.Blocks*512 < writeStep {
		t.Errorf("%d bytes are taken, %v", s.Blocks*512, err)
	}
	if s.Nlink != 0 {
		t.Error("the file has a name")
	}
}

// What a process leaves that was killed between making its file and taking the name
// away is removed, and nothing else.
func TestAFileThatIsLeft(t *testing.T) {
	dir := t.TempDir()
	u := Undo{Mark: "MARK", Folder: dir}
	for _, name := range []string{fileName("MARK"), fileName("MARK") + "-3", fileName("OTHER"), "theirs"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if removed, err := u.removeFile(); err != nil || !removed {
		t.Errorf("removed: %v, %v", removed, err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("left %v, %v", left, err)
	}
	if removed, err := u.removeFile(); err != nil || removed {
		t.Errorf("removed once more: %v, %v", removed, err)
	}
}

func TestAFolderIsTheTargets(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/", filepath.Join(dir, "top")); err != nil {
		t.Fatal(err)
	}
	f, err := openFolder(filepath.Join(dir, "top", dir), nil)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := openFolder(filepath.Join(dir, "missing"), nil); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("opened: %v", err)
	}
}

// A plugin that stands still sends no beats, and closes nothing: the pressure ends all
// the same.
func TestNobodyWantsItAnyMore(t *testing.T) {
	mark := rand.Text()
	c, err := spawn(mark)
	if err != nil {
		t.Fatal(err)
	}
	defer c.end()
	line, err := json.Marshal(order{Load: Load{CPU: &CPU{Cores: 1, Load: 0.05}}, Patience: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(line), goOn} {
		if err := c.ask(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	if f, err := find(mark); err != nil || len(f.all) != 1 || f.first.PID != c.cmd.Process.Pid {
		t.Errorf("found %+v, %v", f, err)
	}
	select {
	case <-c.exited:
	case <-time.After(2 * time.Minute):
		t.Error("the pressure goes on without a beat")
	}
	if f, err := find(mark); err != nil || len(f.all) != 0 {
		t.Errorf("found %+v, %v", f, err)
	}
}

func TestStartAndEnd(t *testing.T) {
	mark := rand.Text()
	if err := start(t.Context(), mark, Load{CPU: &CPU{Cores: 1, Load: 0.05}}, nil); err != nil {
		t.Fatal(err)
	}
	if n, err := end(t.Context(), mark); err != nil || n != 1 {
		t.Errorf("ended %d processes, %v", n, err)
	}
	if n, err := end(t.Context(), mark); err != nil || n != 0 {
		t.Errorf("ended %d processes once more, %v", n, err)
	}
}

// A load that cannot be put on leaves no process.
func TestALoadThatFails(t *testing.T) {
	mark := rand.Text()
	err := start(t.Context(), mark, Load{Disk: &Disk{Path: "/none-such", Size: &Amount{Bytes: 1}}}, nil)
	if err == nil || !strings.Contains(err.Error(), "open folder /none-such") {
		t.Errorf("started: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := start(ctx, mark, Load{CPU: &CPU{Cores: 1, Load: 0.05}}, nil); err == nil {
		t.Error("started though nobody waits for it")
	}
	if f, err := find(mark); err != nil || len(f.all) != 0 {
		t.Errorf("found %+v, %v", f, err)
	}
}
