package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

const timeout = 2 * time.Second

// redis sends one command per connection, which is plenty for a counter.
type redis struct {
	address  string
	password string
}

func (s *redis) do(command ...string) (string, error) {
	conn, err := net.DialTimeout("tcp", s.address, timeout)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return "", err
	}
	reader := bufio.NewReader(conn)
	if s.password != "" {
		if _, err := send(conn, reader, "AUTH", s.password); err != nil {
			return "", err
		}
	}
	return send(conn, reader, command...)
}

func send(conn net.Conn, reader *bufio.Reader, command ...string) (string, error) {
	var request strings.Builder
	fmt.Fprintf(&request, "*%d\r\n", len(command))
	for _, word := range command {
		fmt.Fprintf(&request, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := io.WriteString(conn, request.String()); err != nil {
		return "", err
	}
	return reply(reader)
}

func reply(reader *bufio.Reader) (string, error) {
	line, err := reader.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", errors.New("redis: empty reply")
	}
	switch rest := line[1:]; line[0] {
	case '+', ':':
		return rest, nil
	case '-':
		return "", errors.New("redis: " + rest)
	case '$':
		size, err := strconv.Atoi(rest)
		if err != nil {
			return "", err
		}
		if size < 0 {
			return "0", nil
		}
		body := make([]byte, size+2)
		if _, err := io.ReadFull(reader, body); err != nil {
			return "", err
		}
		return string(body[:size]), nil
	}
	return "", fmt.Errorf("redis: unexpected reply %q", line)
}
