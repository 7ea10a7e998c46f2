/*
 * One cleanup idiom: AUTO(kind) releases a variable when it leaves scope, on every path.
 * Every type has a zero state in which releasing it does nothing, so initialise at declaration.
 */
#pragma once

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define AUTO(kind) __attribute__((cleanup(auto_##kind)))
#define DEFINE_AUTO(kind, type, release) \
    static inline void auto_##kind(type *owned) { if (*owned) release(*owned); }

/* Moves ownership out: yields the value and leaves the zero state behind. */
#define TAKE(owned)                             \
    __extension__({                             \
        __typeof__(owned) taken_ = (owned);     \
        (owned) = (__typeof__(owned)){ 0 };     \
        taken_;                                 \
    })

DEFINE_AUTO(heap, uint8_t *, free)
DEFINE_AUTO(text, char *, free)
DEFINE_AUTO(dir, DIR *, (void) closedir)
DEFINE_AUTO(stream, FILE *, (void) fclose)

/* The one zero state that is not zero: descriptors rest at -1 and move with TAKE_FD. */
#define NO_FD (-1)
#define TAKE_FD(fd) __extension__({ int taken_ = (fd); (fd) = NO_FD; taken_; })
static inline void auto_fd(int *fd) { if (*fd >= 0) (void) close(*fd); }
