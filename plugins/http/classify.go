package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/faultline-go/faultline/sdk"
)

// sampleOf says what a request without an answer means, in words that are the same
// for the same cause. What is our own lack says nothing of the other side.
func sampleOf(ctx context.Context, err error) sdk.Sample {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return sdk.Missing("the probe was stopped")
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return sdk.Missing("no free file descriptor")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return sdk.Missing("no free local port")
	}
	return sdk.Bad(cause(err))
}

func cause(err error) string {
	var dns *net.DNSError
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var hostname x509.HostnameError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "no such host"
	case errors.As(err, &dns) && !dns.IsTimeout:
		return "name lookup failed"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "unreachable"
	case errors.As(err, &hostname), errors.As(err, &verify):
		return "certificate not trusted"
	case errors.As(err, &record), errors.As(err, &alert), strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return "tls handshake failed"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), strings.Contains(err.Error(), "server closed idle connection"):
		return "connection closed without an answer"
	case strings.Contains(err.Error(), "stopped after 10 redirects"):
		return "too many redirects"
	}
	return "request failed"
}

// bodyError is sampleOf for an answer whose body could not be read to its end.
func bodyError(ctx context.Context, err error) sdk.Sample {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return sdk.Bad("body cut short")
	}
	return sampleOf(ctx, err)
}
