#include "guest/api/status.h"

#include <stddef.h>

/* One code per kind, so that a kind survives the way there and back. [gRPC status codes] */
static const struct status_row { enum err_kind kind; int32_t code; } rows[] = {
    { ERR_NONE, 0 },        { ERR_MALFORMED, 3 }, { ERR_UNSUPPORTED, 12 }, { ERR_UNTRUSTED, 16 },
    { ERR_DENIED, 7 },      { ERR_NOT_FOUND, 5 }, { ERR_LIMIT, 8 },        { ERR_TIMEOUT, 4 },
    { ERR_OS, 14 },         { ERR_CONFIG, 9 },    { ERR_BUG, 13 },
};

int32_t status_of_kind(enum err_kind kind)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].kind == kind)
            return rows[i].code;
    return 2; /* UNKNOWN */
}

enum err_kind status_kind(int32_t code)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].code == code)
            return rows[i].kind;
    return ERR_OS;
}
