/*
 * What a monitor may see, in plain HTTP on a listener of its own: /metrics, /healthz (the process answers) and /readyz
 * (it can serve). No secret, no name of one.
 */
#pragma once

#include "base/bytes.h"
#include "base/loop.h"

struct observer;

struct observer_options {
    const char  *listen; /* as listener.h has it; systemd's name for it is "metrics" */
    struct loop *loop;
    void       (*metrics)(void *owner, struct buffer *out);
    FALLIBLE   (*ready)(void *owner, struct buffer *more, struct err *err); /* more: lines behind "ready" */
    void        *owner;
};

FALLIBLE observer_start(const struct observer_options *options, struct observer **out, struct err *err);
void     observer_free(struct observer *observer);
DEFINE_AUTO(observer, struct observer *, observer_free)

const char *observer_url(const struct observer *observer); /* "http://127.0.0.1:9464" */
void        observer_tick(struct observer *observer); /* about once a second: closes who is silent */
