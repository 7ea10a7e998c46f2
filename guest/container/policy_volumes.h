/* The part of a policy that tells what a container finds beside its image, and what the parts share. For `policy` only. */
#pragma once

#include "guest/container/policy.h"

FALLIBLE policy_check_texts(struct json_object *list, const char *name, struct err *err);
bool     policy_text_is(struct json_object *text, const char *asked);
bool     policy_texts_equal(struct json_object *list, char *const *asked, size_t n_asked);
FALLIBLE policy_check_flag(struct json_object *of, const char *name, struct err *err);

FALLIBLE policy_check_file(struct json_object *file, struct err *err);
FALLIBLE policy_check_directory(struct json_object *directory, struct err *err);
FALLIBLE policy_check_termination_log(struct json_object *entry, struct err *err);

/* NULL when the entry lists all, and all is there that it wants; else which kind differs, where, and in which direction. */
const char *policy_volume_difference(struct json_object *entry, const struct volumes *volumes, const char **path, bool *is_missing);
