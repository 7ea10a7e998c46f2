#include "keys/api/initdata.h"

#include <string.h>
#include <zlib.h>

#include "base/ossl.h"
#include "base/text.h"
#include "base/toml.h"

enum { DISK_HEADER_LEN = 16, DISK_BLOCK = 512, ENTRIES_MAX = 64 };
static const char DISK_MAGIC[8] = { 'i', 'n', 'i', 't', 'd', 'a', 't', 'a' };

static const struct algorithm {
    const char *name;
    size_t      len;
    void      (*of)(struct bytes b, uint8_t *out);
} ALGORITHMS[] = {
    [INITDATA_SHA256] = { "sha256", SHA256_LEN, sha256_of },
    [INITDATA_SHA384] = { "sha384", SHA384_LEN, sha384_of },
    [INITDATA_SHA512] = { "sha512", SHA512_LEN, sha512_of },
};

enum { N_ALGORITHMS = sizeof ALGORITHMS / sizeof *ALGORITHMS };

void initdata_free(struct initdata *initdata)
{
    json_object_put(initdata->entries);
    *initdata = (struct initdata){ 0 };
}

static FALLIBLE algorithm_read(struct json_object *whole, enum initdata_algorithm *out, struct err *err)
{
    const char *named;

    if (!json_get_text(whole, "algorithm", &named, err))
        return false;
    for (int i = 0; i < N_ALGORITHMS; i++) {
        if (strcmp(ALGORITHMS[i].name, named) == 0) {
            *out = (enum initdata_algorithm) i;
            return true;
        }
    }
    return fail_with(err, ERR_UNSUPPORTED, "algorithm is not sha256, sha384 or sha512");
}

static FALLIBLE entries_read(struct json_object *whole, struct json_object **out, struct err *err)
{
    struct json_object *entries;

    if (!json_get(whole, "data", json_type_object, &entries, err))
        return false;
    if (json_object_object_length(entries) > ENTRIES_MAX)
        return fail_with(err, ERR_LIMIT, "more than %d entries", ENTRIES_MAX);
    json_object_object_foreach(entries, name, value)
    {
        if (!json_object_is_type(value, json_type_string))
            return fail_with(err, ERR_MALFORMED, "entry \"%.40s\" is not a text", name);
    }
    *out = json_object_get(entries);
    return true;
}

static FALLIBLE document_read(struct bytes text, struct initdata *out, struct err *err)
{
    AUTO(json) struct json_object *whole = NULL;
    struct initdata                read  = { 0 };
    const char                    *version;

    if (text.len > KBS_INITDATA_TEXT_MAX)
        return fail_with(err, ERR_LIMIT, "%zu bytes; at most %d", text.len, KBS_INITDATA_TEXT_MAX);
    if (!toml_read(text, &whole, err) || !json_get_text(whole, "version", &version, err))
        return false;
    if (strcmp(version, "0.1.0") != 0)
        return fail_with(err, ERR_UNSUPPORTED, "version is not 0.1.0");
    if (!algorithm_read(whole, &read.algorithm, err) || !entries_read(whole, &read.entries, err))
        return false;
    read.digest_len = ALGORITHMS[read.algorithm].len;
    ALGORITHMS[read.algorithm].of(text, read.digest);
    *out = read;
    return true;
}

FALLIBLE initdata_read(struct bytes text, struct initdata *out, struct err *err)
{
    return document_read(text, out, err) || context(err, "initdata");
}

/* The rule of every TEE field: a longer digest is cut, a shorter one padded with zeros. [KATA 2.4] */
static void fit(const uint8_t *digest, size_t digest_len, uint8_t *field, size_t len)
{
    size_t held = digest_len < len ? digest_len : len;

    memcpy(field, digest, held);
    memset(field + held, 0, len - held);
}

void initdata_fit(const struct initdata *initdata, uint8_t *field, size_t len)
{
    fit(initdata->digest, initdata->digest_len, field, len);
}

static bool fits(enum initdata_algorithm algorithm, struct bytes text, struct bytes field)
{
    uint8_t digest[INITDATA_DIGEST_MAX];
    uint8_t fitted[INITDATA_DIGEST_MAX];

    if (field.len < SHA256_LEN || field.len > sizeof fitted) /* less would bind too little */
        return false;
    ALGORITHMS[algorithm].of(text, digest);
    fit(digest, ALGORITHMS[algorithm].len, fitted, field.len);
    return bytes_equal((struct bytes){ fitted, field.len }, field);
}

FALLIBLE initdata_read_bound(struct bytes text, struct bytes field, struct initdata *out, struct err *err)
{
    AUTO(initdata) struct initdata read = { 0 };
    bool                           any  = false;

    for (int i = 0; i < N_ALGORITHMS && !any; i++)
        any = fits((enum initdata_algorithm) i, text, field);
    if (!any)
        return fail_with(err, ERR_UNTRUSTED, "initdata: its digest is not the one in the report");
    if (!initdata_read(text, &read, err))
        return false;
    if (!fits(read.algorithm, text, field))
        return fail_with(err, ERR_UNTRUSTED, "initdata: the digest in the report is by another algorithm than %s",
                         ALGORITHMS[read.algorithm].name);
    *out = TAKE(read);
    return true;
}

const char *initdata_entry(const struct initdata *initdata, const char *name)
{
    struct json_object *entry = json_object_object_get(initdata->entries, name);

    return entry ? json_object_get_string(entry) : NULL;
}

static FALLIBLE broker_read(const struct initdata *initdata, struct initdata_broker *out, struct err *err)
{
    AUTO(json) struct json_object *whole = NULL;
    struct json_object            *configs, *kbs;
    const char                    *text = initdata_entry(initdata, "aa.toml");
    const char                    *url, *cert;

    if (!text)
        return fail_with(err, ERR_NOT_FOUND, "there is no such entry, so no broker to attest to");
    if (!toml_read(bytes_of_text(text), &whole, err) ||
        !json_get(whole, "token_configs", json_type_object, &configs, err) ||
        !json_get(configs, "kbs", json_type_object, &kbs, err) || !json_get_text(kbs, "url", &url, err))
        return false;
    if (strlen(url) > KBS_INITDATA_URL_MAX)
        return fail_with(err, ERR_LIMIT, "the url has %zu characters; at most %d", strlen(url), KBS_INITDATA_URL_MAX);
    if (!json_has(kbs, "cert"))
        return fail_with(err, ERR_NOT_FOUND, "token_configs.kbs has no cert, the certificate to pin");
    if (!json_get_text(kbs, "cert", &cert, err))
        return false;
    if (cert[0] == 0)
        return fail_with(err, ERR_NOT_FOUND, "token_configs.kbs has no cert, the certificate to pin");
    (void) snprintf(out->url, sizeof out->url, "%s", url); /* fits: asked above */
    buffer_append_text(&out->ca_pem, cert);
    return true;
}

FALLIBLE initdata_broker(const struct initdata *initdata, struct initdata_broker *out, struct err *err)
{
    return broker_read(initdata, out, err) || context(err, "initdata: aa.toml");
}

void initdata_write(enum initdata_algorithm algorithm, const struct initdata_entry *entries, size_t n,
                    struct buffer *out)
{
    buffer_printf(out, "version = \"0.1.0\"\nalgorithm = \"%s\"\n\n[data]\n", ALGORITHMS[algorithm].name);
    for (size_t i = 0; i < n; i++) {
        toml_append_text(out, entries[i].name);
        buffer_append_text(out, " = ");
        toml_append_text(out, entries[i].text);
        buffer_append_text(out, "\n");
    }
}

void initdata_write_broker(const char *url, const char *ca_pem, struct buffer *out)
{
    buffer_append_text(out, "[token_configs.kbs]\nurl = ");
    toml_append_text(out, url);
    buffer_append_text(out, "\ncert = ");
    toml_append_text(out, ca_pem);
    buffer_append_text(out, "\n");
}

size_t initdata_disk_len(struct bytes first)
{
    struct reader r   = reader_over(first);
    struct bytes  magic = take(&r, sizeof DISK_MAGIC);
    uint64_t      len = take_u64le(&r);
    struct err    ignored;

    if (!reader_ok(&r, &ignored) || !bytes_equal(magic, BYTES_OF(DISK_MAGIC)) ||
        len > KBS_INITDATA_DISK_MAX - DISK_HEADER_LEN)
        return 0;
    return DISK_HEADER_LEN + (size_t) len;
}

/* Inflates one gzip member that fills `packed`, into at most KBS_INITDATA_TEXT_MAX bytes. */
static FALLIBLE gunzip(struct bytes packed, struct buffer *text, struct err *err)
{
    AUTO(heap) uint8_t *room  = malloc(KBS_INITDATA_TEXT_MAX + 1);
    z_stream            z     = { 0 };
    int                 ended;
    size_t              n, left;

    if (!room || inflateInit2(&z, 15 + 16) != Z_OK) /* +16: gzip framing only */
        abort();
    z.next_in   = (z_const Bytef *) (uintptr_t) packed.at;
    z.avail_in  = (uInt) packed.len;
    z.next_out  = room;
    z.avail_out = KBS_INITDATA_TEXT_MAX + 1;
    ended       = inflate(&z, Z_FINISH);
    n           = KBS_INITDATA_TEXT_MAX + 1 - z.avail_out;
    left        = z.avail_in;
    (void) inflateEnd(&z); /* frees; its verdict was inflate's */
    if (n > KBS_INITDATA_TEXT_MAX)
        return fail_with(err, ERR_LIMIT, "more than %d bytes when unpacked", KBS_INITDATA_TEXT_MAX);
    if (ended != Z_STREAM_END)
        return fail_with(err, ERR_MALFORMED, "broken gzip stream");
    if (left > 0)
        return fail_with(err, ERR_MALFORMED, "%zu bytes behind the gzip stream", left);
    buffer_append(text, (struct bytes){ room, n });
    return true;
}

FALLIBLE initdata_disk_read(struct bytes disk, struct buffer *text, struct err *err)
{
    struct reader r     = reader_over(disk);
    struct bytes  magic = take(&r, sizeof DISK_MAGIC);
    uint64_t      len   = take_u64le(&r);
    struct bytes  packed;

    if (!reader_ok(&r, err))
        return context(err, "initdata disk");
    if (!bytes_equal(magic, BYTES_OF(DISK_MAGIC)))
        return fail_with(err, ERR_MALFORMED, "initdata disk: does not begin with \"initdata\"");
    if (len > KBS_INITDATA_DISK_MAX)
        return fail_with(err, ERR_LIMIT, "initdata disk: %llu bytes of gzip; at most %d", (unsigned long long) len,
                         KBS_INITDATA_DISK_MAX);
    packed = take(&r, (size_t) len);
    if (!reader_ok(&r, err))
        return context(err, "initdata disk");
    return gunzip(packed, text, err) || context(err, "initdata disk");
}

FALLIBLE initdata_annotation_read(const char *base64, struct buffer *text, struct err *err)
{
    AUTO(buffer) struct buffer packed = { 0 };

    if (!base64_read(bytes_of_text(base64), BASE64_STANDARD, &packed, err))
        return false;
    if (packed.len > KBS_INITDATA_DISK_MAX)
        return fail_with(err, ERR_LIMIT, "%zu bytes of gzip; at most %d", packed.len, KBS_INITDATA_DISK_MAX);
    return gunzip(buffer_bytes(&packed), text, err);
}

FALLIBLE initdata_disk_write(struct bytes text, struct buffer *disk, struct err *err)
{
    z_stream            z    = { 0 };
    AUTO(heap) uint8_t *room = NULL;
    uint8_t             header[DISK_HEADER_LEN];
    struct writer       w = writer_over(header, sizeof header);
    size_t              most, n;

    if (text.len > KBS_INITDATA_TEXT_MAX)
        return fail_with(err, ERR_LIMIT, "initdata: %zu bytes; at most %d", text.len, KBS_INITDATA_TEXT_MAX);
    if (deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    most = deflateBound(&z, (uLong) text.len);
    room = malloc(most);
    if (!room)
        abort();
    z.next_in   = (z_const Bytef *) (uintptr_t) text.at;
    z.avail_in  = (uInt) text.len;
    z.next_out  = room;
    z.avail_out = (uInt) most;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END)
        abort(); /* deflateBound is a promise */
    n = most - z.avail_out;
    (void) deflateEnd(&z); /* frees */

    put(&w, BYTES_OF(DISK_MAGIC));
    put_u64le(&w, n);
    if (!writer_ok(&w, err))
        return false;
    buffer_append(disk, writer_bytes(&w));
    buffer_append(disk, (struct bytes){ room, n });
    if (disk->len % DISK_BLOCK)
        (void) buffer_grow(disk, DISK_BLOCK - disk->len % DISK_BLOCK); /* zeroed already */
    return true;
}
