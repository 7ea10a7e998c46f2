#include "runtime/cli/measure_inputs.h"

#include <stdio.h>

#include "base/file.h"
#include "firmware/image/footer.h"

enum { KERNEL_LEN_MAX = 256 << 20, INITRD_LEN_MAX = 2047 << 20 };

FALLIBLE measure_inputs_load(struct measure_inputs *in, struct err *err)
{
    if (!in->firmware_path)
        return fail_with(err, ERR_CONFIG, "--firmware is missing (see --help)");
    if (!in->kernel_path && (in->initrd_path || in->append))
        return fail_with(err, ERR_CONFIG, "%s without --kernel means nothing to the firmware: give --kernel too",
                         in->initrd_path ? "--initrd" : "--append");
    if (!file_read(in->firmware_path, FIRMWARE_LEN_MAX, &in->firmware, err))
        return false;
    sha256_of(buffer_bytes(&in->firmware), in->firmware_sha256);
    return (!in->kernel_path || file_read(in->kernel_path, KERNEL_LEN_MAX, &in->kernel, err)) &&
           (!in->initrd_path || file_read(in->initrd_path, INITRD_LEN_MAX, &in->initrd, err));
}

void measure_inputs_free(struct measure_inputs *in)
{
    buffer_free(&in->firmware);
    buffer_free(&in->kernel);
    buffer_free(&in->initrd);
}

FALLIBLE measure_write_references(const struct measure_inputs *in, const struct reference_values *values,
                                  struct err *err)
{
    AUTO(buffer) struct buffer corim = { 0 }, rvps = { 0 };

    if (in->corim_path && (!reference_values_corim(values, &corim, err) ||
                           !file_write(in->corim_path, buffer_bytes(&corim), 0644, err)))
        return context(err, "--corim");
    reference_values_rvps(values, &rvps);
    if (in->rvps_path && !file_write(in->rvps_path, buffer_bytes(&rvps), 0644, err))
        return context(err, "--rvps");
    return true;
}

struct json_object *measure_inputs_json(const struct measure_inputs *in, const struct kernel_hashes *hashes)
{
    struct json_object *object = json_object_new_object();

    json_add_text(object, "firmware", in->firmware_path);
    json_add_hex(object, "firmware_sha256", BYTES_OF(in->firmware_sha256));
    if (!in->kernel_path)
        return object;
    json_add_text(object, "kernel", in->kernel_path);
    json_add_hex(object, "kernel_sha256", BYTES_OF(hashes->kernel));
    if (in->initrd_path)
        json_add_text(object, "initrd", in->initrd_path);
    json_add_hex(object, "initrd_sha256", BYTES_OF(hashes->initrd));
    json_add_text(object, "append", in->append ? in->append : "");
    json_add_hex(object, "append_sha256", BYTES_OF(hashes->cmdline));
    return object;
}

void measure_print_json(struct json_object *object)
{
    AUTO(buffer) struct buffer text = { 0 };

    json_write(object, &text);
    (void) puts(buffer_text(&text)); /* a reader that went away has no use for the rest */
}

int measure_failed(const char *command, const struct err *err)
{
    fprintf(stderr, "cloister: %s: %s\n", command, err->text);
    return err->kind == ERR_CONFIG ? EXIT_UNUSABLE : 1;
}
