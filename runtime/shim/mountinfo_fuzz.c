#include <string.h>

#include "base/auto.h"
#include "runtime/shim/mountinfo.h"
#include "runtime/shim/sub_path.h"

#define POD "/p/3f"

/* Each line takes something off; what is found below a volume is a path below it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes      left = { data, size };
    struct mount_line line;
    struct sub_path   found;
    struct err        err;
    bool              is_there = true;

    while (is_there) {
        size_t before = left.len;

        if (!mountinfo_next(&left, &line, &is_there, &err))
            break;
        if (is_there && left.len >= before)
            __builtin_trap();
    }
    if (sub_path_find((struct bytes){ data, size }, POD "/volume-subpaths/v/main/0", &found, &err) && found.kind != SUB_PATH_NONE &&
        (strcmp(found.volume, "v") != 0 || strlen(found.path) > VOLUME_PATH_MAX))
        __builtin_trap();
    return 0;
}
