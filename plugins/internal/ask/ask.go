//go:build linux

// Package ask asks the kernel by netlink, on the thread that calls.
//
// The usual libraries hand every message over to another goroutine, or open a socket for
// each. Whoever is locked to a thread, because that is in another network namespace, then
// waits for threads to be woken more than for the kernel, which has its answer ready when
// a question has been sent. Messages are those of github.com/mdlayher/netlink.
package ask

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Socket belongs to the network namespace in which it was opened, whichever thread uses
// it. It is not safe for use by several goroutines at once.
type Socket struct {
	fd       int
	sequence uint32
	buffer   []byte
}

const (
	// room is more than the kernel ever puts into one answer (32 KB).
	room = 64 << 10
	// answerSeconds bounds the wait for an answer, which is there at once.
	answerSeconds = 20
)

// Open opens a socket to a part of the kernel: unix.NETLINK_ROUTE or another.
func Open(part int) (*Socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, part)
	if err != nil {
		return nil, err
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1) // only for better texts of errors
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	if err == nil {
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: answerSeconds})
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return &Socket{fd: fd, buffer: make([]byte, room)}, nil
}

// Close ends it.
func (s *Socket) Close() error { return unix.Close(s.fd) }

// Do sends a message and returns its answers, without the acknowledgement. A message must
// ask for a list or for an acknowledgement, or nothing tells that the answer is complete. A
// list that may lack something because others made changes meanwhile is asked for again.
func (s *Socket) Do(m netlink.Message) ([]netlink.Message, error) {
	for began := time.Now(); ; {
		last, err := s.send(m)
		if err != nil {
			return nil, err
		}
		out, torn, err := s.until(last)
		if err != nil || !torn {
			return out, err
		}
		if time.Since(began) > answerSeconds*time.Second {
			return nil, fmt.Errorf("others change the list whenever it is read, for %d s now: %w", answerSeconds, unix.EAGAIN)
		}
	}
}

// Together sends messages at once, and waits for the acknowledgement of one of them, for
// which it must ask. An error of any is returned.
func (s *Socket) Together(all []netlink.Message, acknowledged int) error {
	first := s.sequence + 1
	if _, err := s.send(all...); err != nil {
		return err
	}
	_, _, err := s.until(first + uint32(acknowledged))
	if err != nil {
		s.drain()
	}
	return err
}

func (s *Socket) send(all ...netlink.Message) (last uint32, err error) {
	var raw []byte
	for _, m := range all {
		s.sequence++
		m.Header.Sequence = s.sequence
		m.Header.Length = uint32(unix.NLMSG_HDRLEN + (len(m.Data)+3)&^3)
		one, err := m.MarshalBinary()
		if err != nil {
			return 0, err
		}
		raw = append(raw, one...)
	}
	for {
		err = unix.Sendto(s.fd, raw, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if !errors.Is(err, unix.EINTR) {
			return s.sequence, err
		}
	}
}

// until reads answers up to the end of those to one message. Torn are those that the kernel
// has written partly before and partly after a change.
func (s *Socket) until(last uint32) (out []netlink.Message, torn bool, err error) {
	for {
		n, _, flags, _, err := unix.Recvmsg(s.fd, s.buffer, nil, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, false, fmt.Errorf("wait for the kernel's answer: %w", err)
		case flags&unix.MSG_TRUNC != 0:
			return nil, false, errors.New("the kernel's answer is too long")
		}
		all, err := syscall.ParseNetlinkMessage(s.buffer[:n])
		if err != nil {
			return nil, false, fmt.Errorf("read the kernel's answer: %w", err)
		}
		for _, m := range all {
			end := m.Header.Type == unix.NLMSG_ERROR || m.Header.Type == unix.NLMSG_DONE
			if end {
				if err := failure(m); err != nil {
					return nil, false, err
				}
			}
			if m.Header.Seq != last {
				continue // to one of those before, or left over from an error
			}
			torn = torn || m.Header.Flags&unix.NLM_F_DUMP_INTR != 0
			if end {
				return out, torn, nil
			}
			out = append(out, netlink.Message{
				Header: netlink.Header{Type: netlink.HeaderType(m.Header.Type), Flags: netlink.HeaderFlags(m.Header.Flags), Sequence: m.Header.Seq},
				Data:   append([]byte(nil), m.Data...),
			})
		}
	}
}

// drain reads what is still under way after an error. The kernel has queued all of it by
// the time that the first can be read.
func (s *Socket) drain() {
	for {
		if _, _, err := unix.Recvfrom(s.fd, s.buffer, unix.MSG_DONTWAIT); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// failure is the error that an answer stands for, with the kernel's own words if there are
// any.
func failure(m syscall.NetlinkMessage) error {
	if len(m.Data) < 4 {
		return nil // the end of a list
	}
	code := int32(binary.NativeEndian.Uint32(m.Data))
	if code == 0 {
		return nil
	}
	number := unix.Errno(-code)
	if text := words(m); text != "" {
		return fmt.Errorf("%w: %s", number, text)
	}
	return number
}

// words are behind the number and the message that they are about, which may have been cut
// down to its header.
func words(m syscall.NetlinkMessage) string {
	const text = 1 // NLMSGERR_ATTR_MSG
	if m.Header.Type != unix.NLMSG_ERROR || m.Header.Flags&unix.NLM_F_ACK_TLVS == 0 || len(m.Data) < 4+unix.NLMSG_HDRLEN {
		return ""
	}
	about := uint32(unix.NLMSG_HDRLEN)
	if m.Header.Flags&unix.NLM_F_CAPPED == 0 {
		about = binary.NativeEndian.Uint32(m.Data[4:])
	}
	at := 4 + (uint64(about)+3)&^3
	if at > uint64(len(m.Data)) {
		return ""
	}
	d, err := netlink.NewAttributeDecoder(m.Data[at:])
	if err != nil {
		return ""
	}
	for d.Next() {
		if d.Type() == text {
			return d.String()
		}
	}
	return ""
}
