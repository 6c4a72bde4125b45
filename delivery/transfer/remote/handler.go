package remote

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"postrider/delivery/mailbox"
	"postrider/delivery/transfer"
)

// NewHandler serves s.
func NewHandler(s transfer.Store) http.Handler {
	h := handler{s}
	m := http.NewServeMux()
	m.HandleFunc("GET "+Path+"accounts", h.accounts)
	m.HandleFunc("GET "+Path+"folders", h.folders)
	m.HandleFunc("POST "+Path+"prepare", h.prepare)
	m.HandleFunc("POST "+Path+"known", h.known)
	m.HandleFunc("POST "+Path+"append", h.append)
	m.HandleFunc("POST "+Path+"settle", h.settle)
	m.HandleFunc("POST "+Path+"messages", h.messages)
	m.HandleFunc("POST "+Path+"fsck", h.fsck)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, MaxBodyBytes)
		w.Header().Set("Cache-Control", "no-store")
		m.ServeHTTP(w, r)
	})
}

type handler struct{ store transfer.Store }

func (h handler) accounts(w http.ResponseWriter, r *http.Request) {
	names, err := h.store.Accounts(r.Context())
	reply(w, names, err)
}

func (h handler) folders(w http.ResponseWriter, r *http.Request) {
	folders, err := h.store.Folders(r.Context(), r.URL.Query().Get("account"))
	reply(w, folders, err)
}

func (h handler) prepare(w http.ResponseWriter, r *http.Request) {
	var f transfer.Folder
	if !request(w, r, &f) {
		return
	}
	f, err := h.store.Prepare(r.Context(), r.URL.Query().Get("account"), &f)
	reply(w, f, err)
}

func (h handler) known(w http.ResponseWriter, r *http.Request) {
	var text []string
	if !request(w, r, &text) {
		return
	}
	ids, err := idsOf(text)
	if err != nil {
		refuse(w, err)
		return
	}
	q := r.URL.Query()
	known, err := h.store.Known(r.Context(), q.Get("account"), q.Get("folder"), ids)
	reply(w, known, err)
}

func (h handler) append(w http.ResponseWriter, r *http.Request) {
	var batch []transfer.Filing
	body := bufio.NewReaderSize(r.Body, 64<<10)
	for {
		f, text, err := readFrame(body)
		if err == io.EOF {
			break
		}
		if err != nil {
			refuse(w, err)
			return
		}
		ids, err := idsOf([]string{f.ID})
		if err != nil {
			refuse(w, err)
			return
		}
		batch = append(batch, transfer.Filing{Message: f.Message, ID: ids[0], Text: text})
	}
	q := r.URL.Query()
	results, err := h.store.Append(r.Context(), q.Get("account"), q.Get("folder"), batch)
	reply(w, results, err)
}

func (h handler) settle(w http.ResponseWriter, r *http.Request) {
	var uidNext uint32
	if !request(w, r, &uidNext) {
		return
	}
	q := r.URL.Query()
	reply(w, struct{}{}, h.store.Settle(r.Context(), q.Get("account"), q.Get("folder"), uidNext))
}

// messages streams a mailbox. What meets a single message is told in its place;
// the last line says that the listing is whole.
func (h handler) messages(w http.ResponseWriter, r *http.Request) {
	var folder transfer.Folder
	if !request(w, r, &folder) {
		return
	}
	out := bufio.NewWriterSize(w, 64<<10)
	last := frame{Last: true}
	for m, err := range h.store.Messages(r.Context(), r.URL.Query().Get("account"), &folder) {
		if m == nil {
			last.Error = err.Error()
			break
		}
		f := frame{Message: *m, Name: m.Name}
		text := []byte(nil)
		if err == nil {
			text, err = read(m)
		}
		if err != nil {
			f.Error = err.Error()
		}
		if writeFrame(out, &f, text) != nil { // the client has gone
			return
		}
	}
	if writeFrame(out, &last, nil) == nil {
		_ = out.Flush() // the client has gone
	}
}

func read(m *transfer.Message) ([]byte, error) {
	r, err := m.Open()
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(r)
	return text, errors.Join(err, r.Close())
}

// request reads the body of a small request.
func request(w http.ResponseWriter, r *http.Request, into any) bool {
	err := json.NewDecoder(io.LimitReader(r.Body, lineMax)).Decode(into)
	if err != nil {
		refuse(w, err)
	}
	return err == nil
}

func reply(w http.ResponseWriter, v any, err error) {
	if err != nil {
		status := http.StatusInternalServerError
		if errors.Is(err, mailbox.ErrNoAccount) || errors.Is(err, mailbox.ErrNoMailbox) {
			status = http.StatusNotFound
		}
		write(w, status, problemOf(err))
		return
	}
	write(w, http.StatusOK, v)
}

// refuse answers a request that is not understood.
func refuse(w http.ResponseWriter, err error) { write(w, http.StatusBadRequest, problemOf(err)) }

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client has gone
}
