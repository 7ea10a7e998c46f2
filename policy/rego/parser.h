/* Rego text to syntax trees, v1 by default. [OPA parser] */
#pragma once

#include "policy/rego/ast.h"

enum rego_version { REGO_V1, REGO_V0 };

/*
 * Each adds nothing to `f->errors` on success and returns NULL after at least one error. The text must
 * outlive the tree; `file` is its index in f->files. They leave through f->out at a limit.
 */
struct module *parse_module(struct front *f, uint32_t file, enum rego_version version);
body          *parse_query(struct front *f, uint32_t file, enum rego_version version);
struct term   *parse_one_term(struct front *f, uint32_t file);
