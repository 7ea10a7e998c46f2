/* One HTTP/1.1 connection, over TLS or plain as its URL says, written and read as bytes: for what must be sent exactly so. */
#pragma once

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/ossl.h"
#include "tests/harness/test.h"

struct raw_https {
    int  fd;
    SSL *ssl; /* NULL: plain */
};

struct raw_answer {
    int           status;
    struct buffer head, body; /* head: with its last line end */
};

static inline void raw_answer_free(struct raw_answer *a)
{
    buffer_free(&a->head);
    buffer_free(&a->body);
}
static inline void auto_raw_answer(struct raw_answer *a) { raw_answer_free(a); }

static inline void raw_https_secure(struct raw_https *c, struct bytes ca_pem)
{
    AUTO(bio) BIO     *bio = BIO_new_mem_buf(ca_pem.at, (int) ca_pem.len);
    AUTO(x509) X509   *ca  = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    SSL_CTX           *ctx = SSL_CTX_new(TLS_client_method());

    assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca), 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    c->ssl = SSL_new(ctx);
    assert_true(SSL_set_fd(c->ssl, c->fd) == 1 && SSL_connect(c->ssl) == 1);
    SSL_CTX_free(ctx);
}

static inline struct raw_https raw_https_connect(const char *url, struct bytes ca_pem)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t) atoi(strrchr(url, ':') + 1)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct raw_https   c  = { .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };

    assert_true(c.fd >= 0);
    assert_int_equal(connect(c.fd, (struct sockaddr *) &to, sizeof to), 0);
    if (strncmp(url, "https://", strlen("https://")) == 0)
        raw_https_secure(&c, ca_pem);
    return c;
}

static inline bool raw_https_read(struct raw_https *c, char *byte) { return c->ssl ? SSL_read(c->ssl, byte, 1) == 1 : read(c->fd, byte, 1) == 1; }

static inline void raw_https_close(struct raw_https *c)
{
    SSL_free(c->ssl);
    (void) close(c->fd); /* nothing is to be read from it any more */
}
static inline void auto_raw_https(struct raw_https *c) { raw_https_close(c); }

static inline void raw_https_write(struct raw_https *c, struct bytes request)
{
    if (c->ssl)
        assert_int_equal(SSL_write(c->ssl, request.at, (int) request.len), (int) request.len);
    else
        assert_int_equal(send(c->fd, request.at, request.len, MSG_NOSIGNAL), (ssize_t) request.len); /* what is small goes whole */
}

/* Sends these bytes, and reads one answer whose length its head says. */
static inline void raw_https_exchange(struct raw_https *c, struct bytes request, struct raw_answer *out)
{
    char        byte;
    const char *length;
    size_t      len;

    raw_answer_free(out);
    *out = (struct raw_answer){ 0 };
    raw_https_write(c, request);
    while (!strstr(buffer_text(&out->head), "\r\n\r\n")) {
        assert_true(out->head.len < 16384);
        if (!raw_https_read(c, &byte))
            fail_msg("the connection ends after: %s", buffer_text(&out->head));
        buffer_append(&out->head, (struct bytes){ (const uint8_t *) &byte, 1 });
    }
    assert_int_equal(sscanf(buffer_text(&out->head), "HTTP/1.1 %d ", &out->status), 1);
    length = strcasestr(buffer_text(&out->head), "\r\nContent-Length: ");
    if (!length)
        fail_msg("no length: %s", buffer_text(&out->head));
    len = strtoul(length + strlen("\r\nContent-Length: "), NULL, 10);
    while (out->body.len < len) {
        if (!raw_https_read(c, &byte))
            fail_msg("the connection ends before the body does");
        buffer_append(&out->body, (struct bytes){ (const uint8_t *) &byte, 1 });
    }
    (void) buffer_text(&out->body); /* puts the zero behind it */
}
