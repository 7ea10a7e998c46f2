#include "firmware/stage0/table_loader.h"
#include "tests/harness/test.h"

enum { AREA_LEN = 256, AREA_GPA = 0x7ff00000 };

/* The host's files: rsdp of 20 bytes, tables of 100, each byte its index. */
static bool fetch(void *owner, const char *name, uint8_t *into, size_t room, size_t *len, struct err *err)
{
    (void) owner;
    *len = strcmp(name, "etc/acpi/rsdp") == 0 ? 20 : strcmp(name, "etc/acpi/tables") == 0 ? 100 : 0;
    if (*len == 0)
        return fail_with(err, ERR_NOT_FOUND, "no file");
    if (*len > room)
        return fail_with(err, ERR_LIMIT, "no room");
    for (size_t i = 0; i < *len; i++)
        into[i] = (uint8_t) i;
    return true;
}

static void put_name(struct writer *w, const char *name)
{
    put(w, bytes_of_text(name));
    put_zeros(w, LOADER_NAME_LEN - strlen(name));
}

static void end_step(struct writer *w)
{
    put_zeros(w, LOADER_ENTRY_LEN - w->len % LOADER_ENTRY_LEN);
}

static void put_allocate(struct writer *w, const char *name, uint32_t align)
{
    put_u32le(w, 1);
    put_name(w, name);
    put_u32le(w, align);
    put_u8(w, 1);
    end_step(w);
}

static void put_pointer(struct writer *w, const char *in, const char *to, uint32_t offset, uint8_t width)
{
    put_u32le(w, 2);
    put_name(w, in);
    put_name(w, to);
    put_u32le(w, offset);
    put_u8(w, width);
    end_step(w);
}

static void put_checksum(struct writer *w, const char *in, uint32_t result, uint32_t start, uint32_t len)
{
    put_u32le(w, 3);
    put_name(w, in);
    put_u32le(w, result);
    put_u32le(w, start);
    put_u32le(w, len);
    end_step(w);
}

struct bench {
    uint8_t       recipe[16 * LOADER_ENTRY_LEN];
    struct writer w;
    uint8_t      *area;
    uint64_t      rsdp, tpm_log;
    struct err    err;
};

static void start(struct bench *b)
{
    b->w    = writer_over(b->recipe, sizeof b->recipe);
    b->rsdp = 1;
    put_allocate(&b->w, "etc/acpi/rsdp", 16);
    put_allocate(&b->w, "etc/acpi/tables", 64);
}

static bool run(struct bench *b)
{
    AUTO(heap) uint8_t *area   = calloc(1, AREA_LEN);
    AUTO(heap) uint8_t *exact  = exact_copy(b->recipe, b->w.len);
    struct table_loader loader = { area, AREA_LEN, AREA_GPA, fetch, NULL };
    bool                good;

    assert_false(b->w.failed);
    good = table_loader_run(&loader, (struct bytes){ exact, b->w.len }, &b->rsdp, &b->tpm_log, &b->err);
    b->area = TAKE(area);
    return good;
}

static void adds_addresses_to_pointers(void **state)
{
    struct bench b;
    uint64_t     pointer = 0;

    (void) state;
    start(&b);
    put_checksum(&b.w, "etc/acpi/rsdp", 1, 1, 1); /* makes byte 1 zero */
    put_pointer(&b.w, "etc/acpi/rsdp", "etc/acpi/tables", 1, 1);
    assert_false(run(&b)); /* the address does not fit in a byte */
    assert_string_equal(b.err.text, "ACPI loader: step 3: an address that does not fit in 1 bytes");
    free(b.area);

    start(&b);
    for (uint32_t i = 16; i < 20; i++)
        put_checksum(&b.w, "etc/acpi/rsdp", i, i, 1);
    put_pointer(&b.w, "etc/acpi/rsdp", "etc/acpi/tables", 16, 4);
    assert_true(run(&b));
    memcpy(&pointer, b.area + 16, 4);
    assert_int_equal(pointer, AREA_GPA + 64);
    assert_int_equal(b.rsdp, AREA_GPA);
    free(b.area);

    start(&b);
    put_pointer(&b.w, "etc/acpi/tables", "etc/acpi/tables", 4, 4);
    assert_false(run(&b)); /* 0x07060504 lies beyond the file */
    assert_string_equal(b.err.text, "ACPI loader: step 2: a pointer to 0x7060504 in 100 bytes");
    free(b.area);
}

static void makes_a_sum_of_zero(void **state)
{
    struct bench b;
    uint8_t      sum = 0;

    (void) state;
    start(&b);
    put_checksum(&b.w, "etc/acpi/tables", 0, 0, 100); /* byte 0 is zero before */
    assert_true(run(&b));
    for (size_t i = 0; i < 100; i++)
        sum = (uint8_t) (sum + b.area[64 + i]);
    assert_int_equal(sum, 0);
    free(b.area);
}

static void rejects_what_would_leave_its_file(void **state)
{
    static const struct { uint32_t result, start, len; } bad_sums[] = {
        { 100, 0, 1 }, { 0, 101, 0 }, { 0, 0, 101 }, { 0, 99, 2 }, { 0, 1, 0xffffffff }, { 0xffffffff, 0, 1 },
    };
    static const struct { uint32_t offset; uint8_t width; } bad_pointers[] = {
        { 100, 1 }, { 97, 4 }, { 0xffffffff, 8 }, { 93, 8 }, { 0, 3 }, { 0, 0 }, { 0, 16 },
    };
    struct bench b;

    (void) state;
    for (size_t i = 0; i < sizeof bad_sums / sizeof bad_sums[0]; i++) {
        start(&b);
        put_checksum(&b.w, "etc/acpi/tables", bad_sums[i].result, bad_sums[i].start, bad_sums[i].len);
        assert_false(run(&b));
        assert_int_equal(b.err.kind, ERR_MALFORMED);
        free(b.area);
    }
    for (size_t i = 0; i < sizeof bad_pointers / sizeof bad_pointers[0]; i++) {
        start(&b);
        put_pointer(&b.w, "etc/acpi/tables", "etc/acpi/rsdp", bad_pointers[i].offset, bad_pointers[i].width);
        assert_false(run(&b));
        assert_int_equal(b.err.kind, ERR_MALFORMED);
        free(b.area);
    }
}

static void rejects_bad_allocations_and_names(void **state)
{
    static const struct { const char *name; uint32_t align; const char *text; } cases[] = {
        { "etc/acpi/tables", 64, "ACPI loader: step 2: a file is fetched twice" },
        { "other", 0, "ACPI loader: step 2: alignment 0" },
        { "other", 3, "ACPI loader: step 2: alignment 0x3" },
        { "other", 8192, "ACPI loader: step 2: alignment 0x2000" },
        { "other", 64, "ACPI loader: step 2: no file" },
        { "", 64, "ACPI loader: step 2: a file name without a start or an end" },
    };
    struct bench b;

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        start(&b);
        put_allocate(&b.w, cases[i].name, cases[i].align);
        assert_false(run(&b));
        assert_string_equal(b.err.text, cases[i].text);
        free(b.area);
    }
    start(&b);
    put_checksum(&b.w, "unknown", 0, 0, 1);
    assert_false(run(&b));
    assert_string_equal(b.err.text, "ACPI loader: step 2: a file that was not fetched");
    free(b.area);
    start(&b);
    put_u32le(&b.w, 5);
    end_step(&b.w);
    assert_false(run(&b));
    assert_int_equal(b.err.kind, ERR_UNSUPPORTED);
    free(b.area);
}

static void rejects_every_truncation_inside_a_step(void **state)
{
    struct bench b;

    (void) state;
    start(&b);
    for (size_t whole = b.w.len, len = 0; len < whole; len++) {
        b.w.len = len;
        assert_int_equal(run(&b), len % LOADER_ENTRY_LEN == 0);
        free(b.area);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adds_addresses_to_pointers),
        cmocka_unit_test(makes_a_sum_of_zero),
        cmocka_unit_test(rejects_what_would_leave_its_file),
        cmocka_unit_test(rejects_bad_allocations_and_names),
        cmocka_unit_test(rejects_every_truncation_inside_a_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
