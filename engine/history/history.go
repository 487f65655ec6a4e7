// Package history is an index of past runs: a SQLite file in the state folder, from
// which lists, comparisons and coverage are answered without reading journals.
//
// The journals stay the truth. The index is made of them, whatever it lacks is made up
// for from them (see [Index.CatchUp]), and one that is damaged, or of another version,
// is thrown away and made again. Whoever runs a game day never depends on it: what goes
// wrong with the index is worth a warning, and no more.
package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// FileName is the index in the state folder.
const FileName = "history.db"

// Index is an open index. Its methods may be called by several goroutines, and other
// processes may have the same file open.
type Index struct {
	db      *sql.DB
	Rebuilt bool // there was an index, and it was of no use
}

// Writers wait for each other so long, in milliseconds. Readers never wait: the file has
// a write-ahead log. What a power cut takes from it is taken from the journals again.
const settings = "_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=foreign_keys(1)&_txlock=immediate"

// Open opens the index of a state folder, which must exist, and makes it when it is not
// there or is of no use.
func Open(ctx context.Context, stateDir string) (*Index, error) {
	path := filepath.Join(stateDir, FileName)
	x, err := openPatiently(ctx, path)
	if err != nil && damaged(err) {
		if err = remove(path); err == nil {
			x, err = openPatiently(ctx, path)
		}
		if err == nil {
			x.Rebuilt = true
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open the index of runs %s: %w", path, err)
	}
	return x, nil
}

// OpenMemory opens an index that is nowhere on disk, for state folders that may only be
// read.
func OpenMemory(ctx context.Context) (*Index, error) {
	db, err := sql.Open("sqlite", "file::memory:?_pragma=foreign_keys(1)&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("open an index of runs in memory: %w", err)
	}
	db.SetMaxOpenConns(1) // each connection would have a memory of its own
	x := &Index{db: db}
	if err := x.lay(ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("open an index of runs in memory: %w", err)
	}
	return x, nil
}

// How long an index may be busy while it is opened, and how often it is tried again.
const (
	busyTime  = 30 * time.Second
	busyPause = 20 * time.Millisecond
)

// openPatiently tries again while others have the file busy. SQLite's own patience, the
// busy_timeout, does not reach everywhere: who turns the write-ahead log on, or finds one
// to recover, or upgrades a lock that another has too, is told so at once.
func openPatiently(ctx context.Context, path string) (*Index, error) {
	for end := time.Now().Add(busyTime); ; {
		x, err := open(ctx, path)
		if err == nil || !busy(err) || !time.Now().Before(end) {
			return x, err
		}
		select {
		case <-time.After(busyPause):
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), err)
		}
	}
}

func open(ctx context.Context, path string) (_ *Index, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) // SQLite's own files take its mode
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	name := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: settings}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(2) // one may write while another reads
	x := &Index{db: db}
	if err := x.lay(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return x, nil
}

// lay lays out the tables, unless they are there in this version.
func (x *Index) lay(ctx context.Context) error {
	var found int
	if err := x.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&found); err != nil {
		return err
	}
	if found == version {
		return nil
	}
	return x.change(ctx, func(tx *sql.Tx) error {
		// Another process may have been quicker.
		if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&found); err != nil || found == version {
			return err
		}
		old, err := list(ctx, tx, `SELECT type || ' "' || replace(name, '"', '""') || '"' FROM sqlite_master
			WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY type DESC`, func(r *sql.Rows, s *string) error { return r.Scan(s) })
		if err != nil {
			return err
		}
		for _, what := range old {
			if _, err := tx.ExecContext(ctx, "DROP "+what); err != nil {
				return err
			}
		}
		x.Rebuilt = len(old) > 0
		if _, err := tx.ExecContext(ctx, tables); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version))
		return err
	})
}

// Close closes the index.
func (x *Index) Close() error { return x.db.Close() }

// change does something in one transaction.
func (x *Index) change(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := x.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// queryer is a connection or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// list collects the rows of a query.
func list[T any](ctx context.Context, q queryer, query string, scan func(*sql.Rows, *T) error, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		var v T
		if err := scan(rows, &v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// damaged says whether an error is SQLite's word for a file that cannot be used.
func damaged(err error) bool { return isOne(err, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) }

// busy says whether an error is SQLite's word for a file that others use at this moment.
func busy(err error) bool { return isOne(err, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) }

// isOne compares the primary code of an error of SQLite's.
func isOne(err error, codes ...int) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && slices.Contains(codes, e.Code()&0xff)
}

// Damaged says whether an error is about an index that is of no use.
func Damaged(err error) bool { return damaged(err) }

// Remove takes the index of a state folder away, to be made again.
func Remove(stateDir string) error {
	if err := remove(filepath.Join(stateDir, FileName)); err != nil {
		return fmt.Errorf("remove the index of runs: %w", err)
	}
	return nil
}

// remove takes an index away. Whoever has it open still goes on with what is no longer
// there, which loses nothing but work.
func remove(path string) error {
	for _, end := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + end); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
