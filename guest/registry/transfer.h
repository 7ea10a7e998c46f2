/*
 * HTTPS by libcurl on the loop: any number of GET requests at once, each read as slowly as its reader likes. Only the
 * CA certificates given count; no system's roots, no cookies, no environment.
 */
#pragma once

#include "base/bytes.h"
#include "base/loop.h"

struct transfers;
struct transfer;

struct transfers_options {
    struct loop *loop;
    struct bytes ca_pem;      /* empty: no server can be trusted; copied */
    const char  *https_proxy; /* "http://HOST:PORT"; NULL: none; copied, like the next two */
    const char  *http_proxy;
    const char  *no_proxy;    /* hosts that are asked directly, with commas */
    uint32_t     patience_s;  /* 0: FETCH_CONNECT_MS and FETCH_SILENCE_S; else both, in tests */
};

FALLIBLE transfers_new(const struct transfers_options *options, struct transfers **out, struct err *err);
void     transfers_free(struct transfers *all); /* after every transfer of it */
DEFINE_AUTO(transfers, struct transfers *, transfers_free)

enum piece_outcome { PIECE_TAKEN, PIECE_LATER /* until transfer_resume, which gives it again */, PIECE_STOP };

struct transfer_request {
    const char *url;
    bool        allows_http; /* else a URL or a redirect to plain HTTP fails */
    const char *bearer;      /* a token; NULL: none; copied */
    const char *basic;       /* "USER:PASSWORD"; NULL: none; copied */
    const char *accept;      /* NULL: anything */
    bool        is_secret;   /* the answer, which then leaves nothing in TLS's own buffers */
    uint64_t    offset;      /* asks for the bytes from here on; the answer may begin earlier: see transfer_first */

    /* A piece of the body, of whatever status. */
    enum piece_outcome (*piece)(void *owner, struct transfer *transfer, struct bytes piece);
    /* The last call: with NULL when an answer came whole. The transfer is still the owner's to free. */
    void (*done)(void *owner, struct transfer *transfer, const struct err *why);
    void  *owner;
};

/* Fails CONFIG for a URL that libcurl refuses. */
FALLIBLE transfer_start(struct transfers *all, const struct transfer_request *request, struct transfer **out,
                        struct err *err);
void     transfer_resume(struct transfer *transfer);
void     transfer_free(struct transfer *transfer); /* not inside `piece`; ends it, without a word, when it still runs */
DEFINE_AUTO(transfer, struct transfer *, transfer_free)

long        transfer_status(const struct transfer *transfer);
const char *transfer_header(const struct transfer *transfer, const char *name, size_t i); /* NULL: no more of them */
/* Of a 206 answer: the offset of its first byte, by Content-Range; 0 otherwise. False when it cannot be told. */
bool        transfer_first(const struct transfer *transfer, uint64_t *first);
/* Bytes of the whole thing, by Content-Range or Content-Length. False when the server does not say. */
bool        transfer_total(const struct transfer *transfer, uint64_t *total);
