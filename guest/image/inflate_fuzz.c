/* The first byte says how it is packed; the rest is fed in pieces. */
#include "guest/image/inflate.h"

struct feed {
    struct bytes left;
};

static bool feed_next(void *owner, struct bytes *piece, struct err *err)
{
    struct feed *f = owner;
    size_t       n = f->left.len < 11 ? f->left.len : 11;

    (void) err; /* memory does not fail */
    *piece  = (struct bytes){ f->left.at, n };
    f->left = (struct bytes){ f->left.at + n, f->left.len - n };
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(inflate) struct inflate *inflate = NULL;
    struct feed                   f       = { { 0 } };
    struct inflate_options        options = { .from = { feed_next, &f }, .ratio = 256, .window_log = 20 };
    struct err                    err;

    if (size == 0)
        return 0;
    options.packing = (enum layer_packing) (data[0] % 3);
    f.left          = (struct bytes){ data + 1, size - 1 };
    if (!inflate_new(&options, &inflate, &err))
        return 0;
    for (struct stream s = inflate_stream(inflate); inflate_len(inflate) < (8 << 20);) {
        struct bytes piece = { 0 };

        if (!s.next(s.owner, &piece, &err))
            return 0;
        if (piece.len == 0) {
            if (f.left.len > 0)
                __builtin_trap(); /* the end comes after the last byte */
            return 0;
        }
    }
    return 0;
}
