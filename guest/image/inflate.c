#include "guest/image/inflate.h"

#include <string.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "guest/image/limits.h"

enum { RATIO_FREE_LEN = 64 << 20, GZIP_WINDOW_BITS = 15 + 16 };

struct inflate {
    struct inflate_options options;
    struct bytes           in;
    uint64_t               n_in, n_out;
    bool                   is_in_ended;
    bool                   is_between_frames; /* nothing is half read: the input may end here */
    bool                   is_ended;
    struct digest_run      digest;
    z_stream               gzip;
    bool                   has_gzip;
    ZSTD_DCtx             *zstd;
    uint8_t                out[IMAGE_CHUNK_LEN];
};

FALLIBLE inflate_new(const struct inflate_options *options, struct inflate **out, struct err *err)
{
    AUTO(inflate) struct inflate *f = calloc(1, sizeof *f);

    if (!f)
        abort();
    f->options           = *options;
    f->is_between_frames = true;
    digest_run_begin(&f->digest, options->algorithm);
    if (options->packing == LAYER_TAR_GZIP) {
        if (inflateInit2(&f->gzip, GZIP_WINDOW_BITS) != Z_OK)
            return fail_with(err, ERR_LIMIT, "gzip: no memory");
        f->has_gzip          = true;
        f->is_between_frames = false; /* an empty blob is no gzip file */
    }
    if (options->packing == LAYER_TAR_ZSTD) {
        f->zstd              = ZSTD_createDCtx();
        f->is_between_frames = false;
        if (!f->zstd || ZSTD_isError(ZSTD_DCtx_setParameter(f->zstd, ZSTD_d_windowLogMax, (int) options->window_log)))
            return fail_with(err, ERR_LIMIT, "zstd: no memory, or no window of 2^%u bytes", options->window_log);
    }
    *out = TAKE(f);
    return true;
}

void inflate_free(struct inflate *inflate)
{
    if (inflate->has_gzip)
        (void) inflateEnd(&inflate->gzip); /* fails only for a stream that was never opened */
    (void) ZSTD_freeDCtx(inflate->zstd);   /* never fails */
    auto_digest_run(&inflate->digest);
    free(inflate);
}

static FALLIBLE refill(struct inflate *f, struct err *err)
{
    if (f->in.len > 0 || f->is_in_ended)
        return true;
    if (!f->options.from.next(f->options.from.owner, &f->in, err))
        return false;
    f->is_in_ended = f->in.len == 0;
    f->n_in += f->in.len;
    return true;
}

static FALLIBLE gzip_step(struct inflate *f, size_t *made, struct err *err)
{
    int outcome;

    if (f->is_between_frames && f->in.len > 0) { /* a further member; pigz and stargz make them */
        if (inflateReset(&f->gzip) != Z_OK)
            return fail_with(err, ERR_BUG, "gzip: reset");
        f->is_between_frames = false;
    }
    f->gzip.next_in   = f->in.at;
    f->gzip.avail_in  = (unsigned) f->in.len; /* at most a chunk */
    f->gzip.next_out  = f->out;
    f->gzip.avail_out = sizeof f->out;
    outcome           = inflate(&f->gzip, Z_NO_FLUSH);
    if (outcome != Z_OK && outcome != Z_STREAM_END && outcome != Z_BUF_ERROR)
        return fail_with(err, outcome == Z_MEM_ERROR ? ERR_LIMIT : ERR_MALFORMED, "gzip: %s",
                         f->gzip.msg ? f->gzip.msg : zError(outcome));
    f->is_between_frames = outcome == Z_STREAM_END;
    f->in                = (struct bytes){ f->gzip.next_in, f->gzip.avail_in };
    *made                = sizeof f->out - f->gzip.avail_out;
    return true;
}

static FALLIBLE zstd_step(struct inflate *f, size_t *made, struct err *err)
{
    ZSTD_inBuffer  in      = { f->in.at, f->in.len, 0 };
    ZSTD_outBuffer out     = { f->out, sizeof f->out, 0 };
    size_t         outcome = ZSTD_decompressStream(f->zstd, &out, &in);

    if (ZSTD_isError(outcome)) {
        bool is_window = ZSTD_getErrorCode(outcome) == ZSTD_error_frameParameter_windowTooLarge;

        return fail_with(err, is_window ? ERR_LIMIT : ERR_MALFORMED, "zstd: %s", ZSTD_getErrorName(outcome));
    }
    if (in.pos > 0 || out.pos > 0)
        f->is_between_frames = outcome == 0;
    if (in.pos > 0)
        f->in = (struct bytes){ f->in.at + in.pos, f->in.len - in.pos };
    *made = out.pos;
    return true;
}

static FALLIBLE growth_check(const struct inflate *f, struct err *err)
{
    uint64_t allowed = RATIO_FREE_LEN + f->n_in * f->options.ratio;

    return f->n_out <= allowed || fail_with(err, ERR_LIMIT, "%llu bytes grew to more than %llu, the budget",
                                            (unsigned long long) f->n_in, (unsigned long long) allowed);
}

/* What came out of one step; none when more input is needed first. */
static FALLIBLE step(struct inflate *f, size_t *made, struct err *err)
{
    switch (f->options.packing) {
    case LAYER_TAR_GZIP:
        return gzip_step(f, made, err);
    case LAYER_TAR_ZSTD:
        return zstd_step(f, made, err);
    case LAYER_TAR:
    case LAYER_EROFS: /* no stream */
        break;
    }
    return fail_with(err, ERR_BUG, "a packing without a rule");
}

static FALLIBLE next_unpacked(struct inflate *f, struct bytes *piece, struct err *err)
{
    size_t made = 0;

    while (made == 0) {
        if (!refill(f, err))
            return false;
        if (f->in.len == 0 && f->is_between_frames)
            break;
        bool was_ended = f->is_in_ended;

        if (!step(f, &made, err))
            return false;
        if (made == 0 && was_ended && !f->is_between_frames)
            return fail_with(err, ERR_MALFORMED, "the packed stream ends too early");
    }
    *piece = (struct bytes){ f->out, made };
    return true;
}

static bool next(void *owner, struct bytes *piece, struct err *err)
{
    struct inflate *f = owner;

    *piece = (struct bytes){ 0 };
    if (f->is_ended)
        return true;
    if (f->options.packing == LAYER_TAR) {
        if (!refill(f, err))
            return false;
        *piece = f->in;
        f->in  = (struct bytes){ 0 };
    } else if (!next_unpacked(f, piece, err)) {
        return false;
    }
    f->is_ended = piece->len == 0;
    f->n_out += piece->len;
    digest_run_update(&f->digest, *piece);
    return growth_check(f, err);
}

struct stream inflate_stream(struct inflate *inflate)
{
    return (struct stream){ next, inflate };
}

void inflate_digest(struct inflate *inflate, struct digest *out)
{
    digest_run_end(&inflate->digest, out);
}

uint64_t inflate_len(const struct inflate *inflate)
{
    return inflate->n_out;
}
