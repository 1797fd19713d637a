# SPDX-License-Identifier: GPL-2.0-only
# sagate: `make help` lists what there is. Adding a source file needs no edit here.

VERSION   := 0.1.0
PREFIX    ?= /usr/local
SYSCONFDIR ?= /etc
UNITDIR   ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
HOOKSDIR  ?= $(PREFIX)/share/containers/oci/hooks.d
DESTDIR   ?=
B         := build

CC        ?= gcc
CLANG     ?= clang
BPFTOOL   ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/bin/bpftool) bpftool)
PKGS      := libbpf libelf zlib libnl-3.0 libsystemd libseccomp jansson inih

Q         := $(if $(V),,@)
say        = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2))

# Asked for here so that a goal that builds nothing (help, deps, clean) needs none of it.
ifneq ($(filter-out help deps clean format distclean,$(or $(MAKECMDGOALS),all)),)
ifeq ($(filter check demo,$(MAKECMDGOALS)),)
part      := $(if $(filter unit unit-build static static-build valgrind-build fuzz fuzz-build lint bench bench-build,$(MAKECMDGOALS)),unit,build)
missing   := $(shell tests/deps --check $(part) >/dev/null 2>&1 || echo missing)
ifneq ($(missing),)
$(info $(shell tests/deps --check $(part) >&2))
$(error packages are missing: run `make deps` as root, or install the Debian packages named above)
endif
endif
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS))
PKG_LIBS   = $(shell pkg-config --libs $(PKGS))
endif

WARN      := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes $(if $(CI),-Werror)
CFLAGS    ?= -O2 -g
HARDEN    := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
CPPFLAGS_ := -D_GNU_SOURCE -DSAGATE_VERSION='"$(VERSION)"' -Iinclude -Iloader -Iike-bridge -I$(B)/bpf
CFLAGS_    = -std=gnu11 $(WARN) $(CFLAGS) $(CPPFLAGS_) $(PKG_CFLAGS) -MMD -MP
LDFLAGS_  := -pie -Wl,-z,relro,-z,now $(LDFLAGS)
BPF_FLAGS := -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror -I. -Iinclude -Ibpf -MMD -MP
SAN       := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer

SRC       := $(wildcard loader/*.c) $(wildcard ike-bridge/*.c)
OBJ       := $(SRC:%.c=$(B)/%.o)
SKEL      := $(B)/bpf/sagate.skel.h $(B)/bpf/sagate_impl.skel.h
TESTS     := $(wildcard tests/unit/*/test_*.c)
TEST_BIN  := $(TESTS:tests/%.c=$(B)/tests/%)
MAN       := $(patsubst loader/man/%.scd,$(B)/man/%,$(wildcard loader/man/*.scd))

# the tests' own client programs for this machine's kernel
$(B)/tests/%: tests/kernel/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) -std=gnu11 $(WARN) -O2 -g -D_GNU_SOURCE -o $@ $<

.PHONY: all help deps man unit unit-build static static-build valgrind-build fuzz fuzz-build bench bench-build check demo install uninstall format lint clean distclean
.DELETE_ON_ERROR:

all: $(B)/sagate $(B)/tests/probe $(B)/tests/callers $(B)/tests/leak $(B)/tests/holder $(B)/tests/traffic $(B)/tests/sniff $(B)/tests/storm $(B)/tests/oracle $(B)/tests/matrix man ## build build/sagate (the default)

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile
	@echo '  V=1 shows the commands; DESTDIR= PREFIX= are for install; CI=1 makes warnings errors'

deps: ## install every Debian package that building and testing need (root)
	tests/deps

$(B)/sagate: $(OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_) -o $@ $(OBJ) $(PKG_LIBS)

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(HARDEN) $(CFLAGS_) -c -o $@ $<

# Only bpf.c sees the skeleton; the order dependency is for the first build, -MMD for all others.
$(B)/loader/bpf.o: $(SKEL)

# include/abi.h must have no implicit padding on either side.
$(B)/abi.%.ok: include/abi.h include/reasons.h vmlinux.h
	@mkdir -p $(@D)
	$(call say,ABI,$*)
	$(Q)echo '#include "abi.h"' | $(if $(filter bpf,$*),$(CLANG) -target bpf -include vmlinux.h,$(CC)) \
		-Iinclude -Wpadded -Werror -x c -fsyntax-only -
	@touch $@

# sagate_impl is for kernels that have the kick of a held call under its first name: bpf/hold.bpf.h.
BPF_OBJ   := $(SKEL:.skel.h=.bpf.o)
$(BPF_OBJ): bpf/sagate.bpf.c Makefile $(B)/abi.bpf.ok $(B)/abi.host.ok
	@mkdir -p $(@D)
	$(call say,BPF,$@)
	$(Q)$(CLANG) $(BPF_FLAGS) $(if $(findstring impl,$@),-DTASK_WORK_IMPL) -c -o $@ $<
	$(Q)llvm-strip -g $@

$(SKEL): %.skel.h: %.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(*F)_bpf > $@

man: $(MAN)
$(B)/man/%: loader/man/%.scd
	@mkdir -p $(@D)
	$(call say,MAN,$@)
	$(Q)scdoc < $< > $@

# A unit test names the sources it needs in lines `/* needs: loader/x.c */`.
needs      = $(shell sed -n 's,.*needs: *\(.*[^* /]\) *\(\*/\)\{0\,1\}$$,\1,p' $(1))
.SECONDEXPANSION:
$(B)/tests/unit/%: tests/unit/%.c $$(call needs,tests/unit/%.c) $(SKEL) Makefile
	@mkdir -p $(@D)
	$(call say,TEST,$@)
	$(Q)$(CC) $(SAN) $(filter-out -O2,$(CFLAGS_)) -MT $@ -o $@ $< $(call needs,$<) $(PKG_LIBS) -lcmocka

# The fuzzers: one file a target, linked with the sources it names, for coverage too.
FUZZ_SECONDS ?= 60
FUZZ      := $(patsubst tests/fuzz/%.c,$(B)/tests/fuzz/%,$(wildcard tests/fuzz/*.c))
FUZZ_FLAGS := -O1 -g -fsanitize=fuzzer,address,undefined,float-cast-overflow -fno-sanitize-recover=all \
	-fno-omit-frame-pointer -fprofile-instr-generate -fcoverage-mapping
$(B)/tests/fuzz/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,FUZZ,$<)
	$(Q)$(CLANG) $(FUZZ_FLAGS) $(filter-out -O2,$(CFLAGS_)) -Itests/fuzz -c -o $@ $<
fuzz_objs  = $(patsubst %.c,$(B)/tests/fuzz/obj/%.o,tests/fuzz/$(1).c $(call needs,tests/fuzz/$(1).c))
$(FUZZ): $(B)/tests/fuzz/%: $$(call fuzz_objs,$$*) Makefile
	$(call say,LINK,$@)
	$(Q)$(CLANG) $(FUZZ_FLAGS) -o $@ $(filter %.o,$^) $(PKG_LIBS)

fuzz-build: $(FUZZ)

fuzz: fuzz-build ## hostile input to every parser, FUZZ_SECONDS (60) each, with its coverage
	@tests/fuzz/run $(FUZZ_SECONDS)

$(B)/tests/probe $(B)/tests/leak $(B)/tests/callers: $(B)/tests/%: tests/lab/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) -std=gnu11 $(WARN) -O2 -g -D_GNU_SOURCE -o $@ $<

# A campaign's own programs.
$(B)/tests/traffic $(B)/tests/sniff: $(B)/tests/%: tests/lab/campaign.d/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) -std=gnu11 $(WARN) -O2 -g -D_GNU_SOURCE -o $@ $<

# The bench's programs: optimised as the daemon is, and linked with all of it but main.
BENCH     := $(patsubst tests/bench/%.c,$(B)/tests/bench/%,$(filter-out %.bpf.c tests/bench/stats.c tests/bench/world.c tests/bench/xfrm_nl.c,$(wildcard tests/bench/*.c)))
BENCH_OBJ := $(B)/tests/bench/stats.o $(B)/tests/bench/world.o $(B)/tests/bench/xfrm_nl.o
$(B)/tests/bench/base.skel.h: tests/bench/base.bpf.c Makefile
	@mkdir -p $(@D)
	$(call say,BPF,$<)
	$(Q)$(CLANG) $(BPF_FLAGS) -c -o $(@:.skel.h=.bpf.o) $<
	$(Q)$(BPFTOOL) gen skeleton $(@:.skel.h=.bpf.o) name base_bpf > $@
$(BENCH:%=%.o) $(BENCH_OBJ): CPPFLAGS_ += -I$(B)/tests/bench
$(BENCH:%=%.o): $(B)/tests/bench/base.skel.h $(SKEL)
$(BENCH): %: %.o $(BENCH_OBJ) $(filter-out $(B)/loader/main.o,$(OBJ))
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_) -o $@ $^ $(PKG_LIBS)
$(B)/tests/bench/%.o: tests/bench/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(HARDEN) $(CFLAGS_) -c -o $@ $<

bench-build: all $(BENCH)

bench: bench-build ## speed and memory against baselines of the same run: build/bench.json, build/bench/*.svg (root)
	@tests/bench/bench

# Storms over a mirror, and its comparison with the kernel: a program of a folder of its own.
$(B)/tests/storm: $(wildcard tests/storm/*.c) $(wildcard tests/storm/*.h) include/abi.h include/reasons.h Makefile
	@mkdir -p $(@D)
	$(call say,CC,tests/storm)
	$(Q)$(CC) -std=gnu11 $(WARN) -O2 -g -D_GNU_SOURCE -Iinclude -o $@ $(filter %.c,$^) -lbpf -ljansson

# The kernel as the judge of decide(): its own client is the daemon's.
ORACLE    := $(wildcard tests/lab/oracle.d/*.c)
ORACLE_LOADER := client control_listen error json_util
$(B)/tests/oracle: $(ORACLE:%.c=$(B)/%.o) $(ORACLE_LOADER:%=$(B)/loader/%.o)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_) -o $@ $^ $(PKG_LIBS)

# Every way to send: a program of a folder of its own.
MATRIX    := $(wildcard tests/lab/matrix.d/*.c)
$(B)/tests/matrix: $(MATRIX:%.c=$(B)/%.o)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_) -o $@ $^

unit-build: $(TEST_BIN)

unit: unit-build ## build and run the unit tests (ASan and UBSan)
	@tests/check unit

# Each file is analysed once by clang (.clang-tidy) and once by gcc; what they find is in FILE.log. Neither comes to
# an end in uthash's own hash function: they are given its simplest. gcc's does not follow what a list or table
# owns (malloc-leak): leaks are for the sanitizers, which end each unit test and fuzz target that has one.
STATIC    := $(SRC:%.c=$(B)/static/%)
PLAIN_HASH := '-DHASH_FUNCTION(k,l,h)=HASH_SAX(k,l,h)'
ANALYZER  := -fanalyzer -Wno-analyzer-malloc-leak $(PLAIN_HASH)
# It does not know that getdelim() sets its pointer, that libbpf fills the skeleton in, that what is searched
# for is in its table.
$(B)/static/loader/cgroup.gcc: ANALYZER += -Wno-analyzer-use-of-uninitialized-value
$(B)/static/loader/bpf.gcc $(B)/static/loader/shadow.gcc $(B)/static/loader/spd_group.gcc: ANALYZER += -Wno-analyzer-null-dereference
$(STATIC:=.tidy): $(B)/static/%.tidy: %.c $(B)/%.o .clang-tidy
	@mkdir -p $(@D)
	$(call say,TIDY,$<)
	$(Q)clang-tidy --quiet $< -- $(filter-out -MMD -MP,$(CFLAGS_)) $(PLAIN_HASH) >$@.log 2>/dev/null && touch $@
$(STATIC:=.gcc): $(B)/static/%.gcc: %.c $(B)/%.o
	@mkdir -p $(@D)
	$(call say,ANALYSE,$<)
	$(Q)timeout 300 $(CC) $(HARDEN) $(filter-out -MMD -MP,$(CFLAGS_)) $(ANALYZER) -Werror -c -o /dev/null $< 2>$@.log && touch $@

static-build: $(STATIC:=.tidy) $(STATIC:=.gcc)

static: ## clang-tidy (with scan-build's checks), gcc -fanalyzer, cppcheck; valgrind over the unit tests
	@tests/check static

# The unit tests as valgrind can take them: of the daemon's own objects, without the sanitizers.
VALGRIND  := $(patsubst tests/unit/%.c,$(B)/tests/valgrind/%,$(filter-out tests/unit/decide/%,$(TESTS)))
$(VALGRIND): $(B)/tests/valgrind/%: tests/unit/%.c $$(patsubst %.c,$(B)/%.o,$$(call needs,tests/unit/%.c)) $(SKEL) Makefile
	@mkdir -p $(@D)
	$(call say,TEST,$@)
	$(Q)$(CC) $(filter-out -MMD -MP -O2,$(CFLAGS_)) -O1 -o $@ $(filter %.c %.o,$^) $(PKG_LIBS) -lcmocka

valgrind-build: $(VALGRIND)

check: ## every test: unit, this machine's kernel, the lab's VMs over the kernel list (root)
	@tests/check

demo: ## the main job, visible, in VMs; writes build/demo.json (root)
	@tests/lab/demo

install: all ## install below $(DESTDIR)$(PREFIX)
	install -D -m 755 $(B)/sagate "$(DESTDIR)$(PREFIX)/sbin/sagate"
	install -D -m 644 loader/sagate.service "$(DESTDIR)$(UNITDIR)/sagate.service"
	sed -i 's,@SBINDIR@,$(PREFIX)/sbin,' "$(DESTDIR)$(UNITDIR)/sagate.service"
	install -D -m 644 loader/sagate.sysusers "$(DESTDIR)$(SYSUSERSDIR)/sagate.conf"
	install -D -m 644 loader/oci-hook.json "$(DESTDIR)$(HOOKSDIR)/sagate.json"
	sed -i 's,@SBINDIR@,$(PREFIX)/sbin,' "$(DESTDIR)$(HOOKSDIR)/sagate.json"
	install -D -m 644 loader/sagate.conf.example "$(DESTDIR)$(PREFIX)/share/doc/sagate/sagate.conf.example"
	install -D -m 644 README.md "$(DESTDIR)$(PREFIX)/share/doc/sagate/README.md"
	install -D -m 644 WAYS.md "$(DESTDIR)$(PREFIX)/share/doc/sagate/WAYS.md"
	install -D -m 644 SECURITY.md "$(DESTDIR)$(PREFIX)/share/doc/sagate/SECURITY.md"
	for m in $(notdir $(MAN)); do \
		install -D -m 644 $(B)/man/$$m "$(DESTDIR)$(PREFIX)/share/man/man$${m##*.}/$$m" || exit 1; done

uninstall: ## remove what install put there
	rm -f "$(DESTDIR)$(PREFIX)/sbin/sagate" "$(DESTDIR)$(UNITDIR)/sagate.service" "$(DESTDIR)$(HOOKSDIR)/sagate.json" "$(DESTDIR)$(SYSUSERSDIR)/sagate.conf"
	rm -rf "$(DESTDIR)$(PREFIX)/share/doc/sagate"
	for m in $(notdir $(MAN)); do rm -f "$(DESTDIR)$(PREFIX)/share/man/man$${m##*.}/$$m"; done

format: ## clang-format the sources
	clang-format -i vmlinux.h $$(git ls-files '*.[ch]' | grep -v '^vmlinux')

lint: ## shellcheck, formatting, the include rules
	@tests/check lint

clean: ## remove build/
	rm -rf $(B)

-include $(OBJ:.o=.d) $(ORACLE:%.c=$(B)/%.d) $(MATRIX:%.c=$(B)/%.d) $(wildcard $(B)/tests/bench/*.d) $(BPF_OBJ:.o=.d) $(wildcard $(B)/tests/unit/*/*.d) \
	$(wildcard $(B)/tests/fuzz/obj/*/*.d) $(wildcard $(B)/tests/fuzz/obj/*/*/*.d)
