package pressure

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/cgroup"
	"github.com/faultline-go/faultline/sdk"
)

// sampleTime is over how long rates are measured.
const sampleTime = 250 * time.Millisecond

// observe measures what the pressure does, from outside of the process that makes it.
func observe(ctx context.Context, l Load, u Undo) (sdk.Effect, error) {
	f, err := find(u.Mark)
	if err != nil {
		return sdk.Effect{}, err
	}
	if f.first == nil {
		return sdk.Effect{Detail: u.absent()}, nil
	}
	before, err := look(f.first.PID)
	if err != nil {
		return u.vanished(err)
	}
	select {
	case <-time.After(sampleTime):
	case <-ctx.Done():
		return sdk.Effect{}, ctx.Err()
	}
	after, err := look(f.first.PID)
	if err != nil {
		return u.vanished(err)
	}
	s := sight{before: before, after: after, seconds: after.at.Sub(before.at).Seconds(), processes: len(f.all) - 1}
	e := sdk.Effect{Bites: true, Measures: map[string]float64{}}
	var details []string
	for _, part := range s.parts(l) {
		e.Bites = e.Bites && part.bites
		details = append(details, part.detail)
		maps.Copy(e.Measures, part.measures)
	}
	e.Detail = strings.Join(details, "; ")
	return e, nil
}

// absent is what is said of pressure that is not there.
func (u Undo) absent() string {
	if u.Target != nil {
		if alive, err := u.Target.Alive(); err == nil && !alive {
			return u.Name + " has ended, and the pressure with it"
		}
	}
	return "no pressure process: it was not started, has been ended, or the kernel took it for lack of memory"
}

func (u Undo) vanished(err error) (sdk.Effect, error) {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) || errors.Is(err, sdk.ErrGone) {
		return sdk.Effect{Detail: u.absent()}, nil
	}
	return sdk.Effect{}, err
}

// view is what can be seen of a pressure process at one moment.
type view struct {
	at       time.Time
	cpu      float64 // seconds
	group    float64 // seconds of its control group
	grouped  bool    // group is known
	stalled  map[string]float64
	resident int64
	read     int64 // asked for by the process
	written  int64
	file     int64 // bytes of the file system that its file takes
	free     int64 // bytes that the file's file system has left
	room     room
	pids     cgroup.PIDs
	limited  bool // pids is known
}

func look(pid int) (v view, err error) {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return v, err
	}
	stat, err := proc.Stat()
	if err != nil {
		return v, err
	}
	v.at, v.cpu, v.resident = time.Now(), stat.CPUTime(), int64(stat.ResidentMemory())
	io, err := proc.IO()
	if err != nil {
		return v, err
	}
	v.read, v.written = int64(io.RChar), int64(io.WChar)
	g, err := cgroup.Here.Of(pid)
	if err != nil {
		return v, err
	}
	used, counted, err := g.CPUTime()
	if err != nil {
		return v, err
	}
	v.group, v.grouped = used.Seconds(), counted
	if v.room, err = roomFor(pid); err != nil {
		return v, err
	}
	if v.pids, v.limited, err = g.PIDs(); err != nil {
		return v, err
	}
	v.stalled = map[string]float64{}
	for _, resource := range []string{"cpu", "memory", "io"} {
		share, ok := g.Stalled(resource)
		if !ok {
			share, ok = cgroup.Here.Stalled(resource)
		}
		if ok {
			v.stalled[resource] = share
		}
	}
	v.file, v.free, err = files(pid)
	return v, err
}

// files adds up the nameless files that a process holds open.
func files(pid int) (taken, free int64, err error) {
	links, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "fd", "*"))
	if err != nil {
		return 0, 0, err
	}
	for _, link := range links {
		to, err := os.Readlink(link)
		if err != nil || !strings.HasSuffix(to, " (deleted)") {
			continue
		}
		var s unix.Stat_t
		var fsys unix.Statfs_t
		if unix.Stat(link, &s) != nil || s.Mode&unix.S_IFMT != unix.S_IFREG || unix.Statfs(link, &fsys) != nil {
			continue
		}
		taken += s.Blocks * 512
		free = int64(fsys.Bavail) * fsys.Bsize
	}
	return taken, free, nil
}

// sight is what two looks say together.
type sight struct {
	before, after view
	seconds       float64
	processes     int // beside the first
}

// part is what is said of one kind of pressure.
type part struct {
	bites    bool
	detail   string
	measures map[string]float64
}

func (s sight) parts(l Load) []part {
	var out []part
	if l.CPU != nil {
		out = append(out, s.burnt())
	}
	if l.Memory != nil {
		out = append(out, s.held())
	}
	if l.Disk != nil {
		out = append(out, s.filled())
	}
	if l.IO != nil {
		out = append(out, s.moved(*l.IO))
	}
	if l.Processes != nil {
		out = append(out, s.started())
	}
	return out
}

func (s sight) burnt() part {
	cores := (s.after.cpu - s.before.cpu) / s.seconds
	p := part{
		bites:    cores > 0.005,
		detail:   fmt.Sprintf("burns %.2f cores", cores),
		measures: map[string]float64{"pressure_cores": cores},
	}
	if s.after.grouped {
		group := (s.after.group - s.before.group) / s.seconds
		p.measures["group_cores"] = group
		p.detail += fmt.Sprintf(" of the %.2f that the control group uses", group)
	}
	s.stalled("cpu", &p)
	return p
}

func (s sight) held() part {
	p := part{
		bites:  s.after.resident >= chunk,
		detail: fmt.Sprintf("holds %s, %s of %s are available", size(s.after.resident), size(s.after.room.available), size(s.after.room.whole)),
		measures: map[string]float64{
			"pressure_resident_bytes": float64(s.after.resident), "available_bytes": float64(s.after.room.available),
		},
	}
	s.stalled("memory", &p)
	return p
}

func (s sight) filled() part {
	return part{
		bites:    s.after.file > 0,
		detail:   fmt.Sprintf("takes %s, %s are free", size(s.after.file), size(s.after.free)),
		measures: map[string]float64{"pressure_file_bytes": float64(s.after.file), "free_bytes": float64(s.after.free)},
	}
}

func (s sight) moved(i IO) part {
	read := float64(s.after.read-s.before.read) / s.seconds
	written := float64(s.after.written-s.before.written) / s.seconds
	p := part{
		bites:    (!i.Read || read > 0) && (!i.Write || written > 0),
		detail:   fmt.Sprintf("reads %s/s and writes %s/s", size(int64(read)), size(int64(written))),
		measures: map[string]float64{"read_bytes_per_s": read, "written_bytes_per_s": written},
	}
	s.stalled("io", &p)
	return p
}

func (s sight) started() part {
	p := part{
		bites:    s.processes > 0,
		detail:   fmt.Sprintf("%d processes", s.processes),
		measures: map[string]float64{"pressure_processes": float64(s.processes)},
	}
	if s.after.limited {
		p.measures["processes_left"] = float64(s.after.pids.Room)
		p.detail += fmt.Sprintf(", room for %d more of %d", s.after.pids.Room, s.after.pids.Limit)
	}
	return p
}

// stalled adds how much time is lost by waiting for the resource, where the kernel
// says it.
func (s sight) stalled(resource string, p *part) {
	if share, ok := s.after.stalled[resource]; ok {
		p.measures["stalled_"+resource+"_share"] = share
		p.detail += fmt.Sprintf("; somebody waited for it in %.0f %% of the last 10 s", 100*share)
	}
}
