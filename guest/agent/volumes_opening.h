/* The persistent volumes that a container gets, opened by the keeper before the container is made, one after the other. */
#pragma once

#include "guest/agent/service.h"

/* `why` is NULL when all are open; else it names the phase. Told once. */
typedef void volumes_opened_fn(void *owner, const struct err *why);

/* One container's. Who owns it keeps it in place until it is told. */
struct volumes_opening {
    struct service         *service;
    const struct container *container;
    struct volumes         *volumes; /* their `read_only` is set as policy says */
    volumes_opened_fn      *done;
    void                   *owner;
    size_t                  at; /* whose turn it is */
};

/* With none it tells at once, before it returns. */
void volumes_opening_begin(struct volumes_opening *v);
