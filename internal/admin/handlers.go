package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"postrider/internal/mail"
)

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	checks, code := s.o.Checks(), http.StatusOK
	for _, c := range checks {
		if !c.OK {
			code = http.StatusServiceUnavailable
		}
	}
	reply(w, code, checks)
}

// list writes one message a line, so that a long queue needs memory on neither
// side. A failure after the first line is told as a last line with "error".
func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	sel, err := ParseSelector(r.URL.Query())
	if err != nil {
		failWith(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc := json.NewEncoder(w)
	var lost error
	n := 0
	err = s.o.Queue.List(r.Context(), sel, func(m *Message) bool {
		n++
		lost = enc.Encode(m)
		return lost == nil
	})
	switch {
	case lost != nil || err == nil:
	case n == 0:
		failWith(w, err)
	default:
		_ = enc.Encode(problem{Error: err.Error()}) // if that is lost too, the client has gone
	}
}

func (s *Server) show(w http.ResponseWriter, r *http.Request) {
	id, err := mail.ParseID(r.PathValue("id"))
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	var found []byte
	var bad error
	err = s.o.Queue.List(r.Context(), Selector{IDs: []mail.ID{id}}, func(m *Message) bool {
		found, bad = json.Marshal(m)
		return false
	})
	switch err = errors.Join(err, bad); {
	case err != nil:
		failWith(w, err)
	case found == nil:
		failWith(w, ErrNotFound)
	default:
		reply(w, http.StatusOK, json.RawMessage(found))
	}
}

func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	to, from := r.URL.Query().Get("to"), r.URL.Query().Get("from")
	if to == "" {
		fail(w, http.StatusBadRequest, "an address is needed (to=...)")
		return
	}
	if s.o.Explain == nil {
		fail(w, http.StatusNotFound, "nobody here can tell")
		return
	}
	e, err := s.o.Explain(r.Context(), to, from)
	if err != nil {
		failWith(w, err)
		return
	}
	reply(w, http.StatusOK, e)
}

func (s *Server) raw(w http.ResponseWriter, r *http.Request) {
	id, err := mail.ParseID(r.PathValue("id"))
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	text, size, err := s.o.Queue.Raw(r.Context(), id)
	if err != nil {
		failWith(w, err)
		return
	}
	defer text.Close() // only read
	w.Header().Set("Content-Type", "message/rfc822")
	// A text that turns out damaged ends early, and with its length announced the
	// client sees that it is not whole.
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	_, _ = io.Copy(w, text)
}

func (s *Server) confirmClock(w http.ResponseWriter, _ *http.Request) {
	was, err := s.o.Queue.ConfirmClock()
	switch {
	case err != nil:
		failWith(w, err)
	case !was:
		fail(w, http.StatusNotFound, "nobody doubted the clock")
	default:
		reply(w, http.StatusOK, struct{}{})
	}
}

type problem struct {
	Error string `json:"error"`
}

func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // a lost client needs nothing
}

func fail(w http.ResponseWriter, code int, text string) { reply(w, code, problem{Error: text}) }

func failWith(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, ErrNotFound):
		fail(w, http.StatusNotFound, err.Error())
	case errors.Is(err, ErrSelector):
		fail(w, http.StatusBadRequest, err.Error())
	default:
		fail(w, http.StatusInternalServerError, err.Error())
	}
}
