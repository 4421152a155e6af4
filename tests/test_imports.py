"""Imports point one way: read from the source, held to the ranks of the design."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# A module imports only what stands above it here. Files of a folder share its place; among
# themselves they form no cycle. Modules on one line do not see each other.
ORDER = [
    ["gradcheck.arrays", "gradcheck.splitmix64", "gradcheck.threads"],
    ["gradcheck.pytree", "gradcheck.writing"],
    ["gradcheck.outcomes"],
    ["gradcheck.problem"],
    ["gradcheck.problems"],
    ["gradcheck.rounding"],
    ["gradcheck.certified"],
    ["gradcheck.differences"],
    ["gradcheck.patterns"],
    ["gradcheck.engines"],
    ["gradcheck.checks"],
    ["gradcheck.response"],
    ["gradcheck.forward"],
    ["gradcheck.diagnosis"],
    ["gradcheck.mutants"],
    ["gradcheck.verification"],
    ["gradcheck.selftest"],
    ["gradcheck.pytest_plugin"],
    ["gradcheck.conformance"],
    ["gradcheck.studies"],
    ["gradcheck.cli"],
    ["gradcheck.__main__"],
]
RANK = {unit: rank for rank, line in enumerate(ORDER) for unit in line}

# Units that never see each other, whatever their ranks.
STRANGERS = [
    {"gradcheck.differences", "gradcheck.engines"},
    {"gradcheck.certified", "gradcheck.engines"},
]

# Where a third-party package may be imported; numpy may be everywhere.
CONFINED = {
    "hypothesis": ["gradcheck.problems.strategies"],
    "pandas": ["gradcheck.studies.report", "gradcheck.outcomes.outcome", "gradcheck.studies.bench"],
    "tabulate": ["gradcheck.studies.report"],
    "matplotlib": [
        "gradcheck.studies.report",
        "gradcheck.studies.bench.figures",
        "gradcheck.studies.bench.backprop",
    ],
    "jinja2": ["gradcheck.studies.report", "gradcheck.verification.page"],
    "tqdm": ["gradcheck.studies.report", "gradcheck.cli", "gradcheck.verification.run"],
    "pytest": ["gradcheck.pytest_plugin", "gradcheck.conformance"],
    "flint": [
        "gradcheck.certified.balls",
        "gradcheck.certified.ball_network",
        "gradcheck.certified.ball_differences",
        "gradcheck.certified.gradient",
        "gradcheck.certified.outer_products",
    ],
    "torch": [
        "gradcheck.engines.torch_adapter",
        "gradcheck.studies.peers.torch_gradcheck",
        "gradcheck.studies.bench",
        "gradcheck.studies.report.textbook.libraries",
    ],
    "jax": [
        "gradcheck.engines.jax_adapter",
        "gradcheck.studies.peers.jax_check_grads",
        "gradcheck.studies.report.textbook.libraries",
    ],
    "tensorflow": [
        "gradcheck.engines.tensorflow_adapter",
        "gradcheck.studies.report.textbook.libraries",
    ],
    "pytensor": [
        "gradcheck.engines.pytensor_adapter",
        "gradcheck.studies.report.textbook.libraries",
    ],
    "autograd": [
        "gradcheck.engines.autograd_adapter",
        "gradcheck.studies.peers.autograd_check_grads",
        "gradcheck.studies.report.textbook.libraries",
    ],
    "scipy": [
        "gradcheck.studies.peers.scipy_check_grad",
        "gradcheck.studies.peers.scipy_check_derivative",
    ],
    "numdifftools": ["gradcheck.studies.peers.numdifftools_gradient"],
    "jacobi": ["gradcheck.studies.peers.jacobi_estimate"],
    "sklearn": ["gradcheck.engines.sklearn_adapter"],
    "caffe": ["gradcheck.engines.processes.caffe_engine"],
    "theano": ["gradcheck.engines.processes.theano_engine"],
    "serving": ["gradcheck.engines.processes"],
    "reference_models": [
        "gradcheck.engines.reference",
        "gradcheck.mutants.circuit",
        "gradcheck.studies.report",
        "gradcheck.studies.bench.backprop",
    ],
}

# What `import gradcheck` itself may load of the package, everything else being lazy.
LIGHT = {"gradcheck.pytree", "gradcheck.problem"}


# --- reading ------------------------------------------------------------------------------------


def modules(root: Path) -> dict[str, Path]:
    """Every module file of both packages by its dotted name."""
    files = [
        p for package in ("gradcheck", "reference_models") for p in root.glob(f"{package}/**/*.py")
    ]
    parts = {path: path.relative_to(root).with_suffix("").parts for path in sorted(files)}
    return {".".join(p[:-1] if p[-1] == "__init__" else p): path for path, p in parts.items()}


def imports(tree: ast.AST, package: str) -> Iterator[tuple[str, list[str]]]:
    """Every import below a node, by function or not: the module and the names taken from it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, []
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) + 1 - node.level]
            prefix = ".".join(base) if node.level else ""
            yield ".".join(filter(None, [prefix, node.module])), [a.name for a in node.names]
        elif isinstance(node, ast.Call) and node.args and _is_dynamic_import(node.func):
            match node.args[0]:
                case ast.Constant(value=str(name)) if not name.startswith("."):
                    yield name, []


@cache
def imports_of(text: str, package: str) -> tuple[tuple[str, list[str]], ...]:
    """Every import of a file's text."""
    return tuple(imports(ast.parse(text), package))


def _is_dynamic_import(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in {"import_module", "__import__"}


def edges(root: Path) -> dict[str, set[str]]:
    """What each module imports: modules of the two packages, and third-party packages."""
    known = modules(root)
    found: dict[str, set[str]] = {}
    for name, path in known.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        targets = found.setdefault(name, set())
        for base, taken in imports_of(path.read_text("utf-8"), package):
            submodules = {f"{base}.{x}" for x in taken} & known.keys()
            targets |= submodules
            # the folder itself is imported from only where a taken name is none of its modules
            if not submodules or len(submodules) < len(taken):
                targets.add(base)
        targets.discard(name)
    return found


def unit(module: str) -> str | None:
    """The entry of the table that a module falls under: itself or the folder it is in."""
    while module not in RANK and "." in module:
        module = module.rpartition(".")[0]
    return module if module in RANK else None


def is_below(module: str, units: list[str]) -> bool:
    return any(module == u or module.startswith(f"{u}.") for u in units)


# --- judging ------------------------------------------------------------------------------------


def unranked(root: Path) -> list[str]:
    return [
        f"{name} has no rank: put it, or the folder it is in, into ORDER in tests/test_imports.py, "
        "below everything it imports"
        for name in modules(root)
        if name.startswith("gradcheck.") and unit(name) is None
    ]


def stale(root: Path) -> list[str]:
    return [
        f"ORDER names {name}, which does not exist" for name in RANK if name not in modules(root)
    ]


def upward(root: Path) -> list[str]:
    found = []
    for source, targets in edges(root).items():
        here = unit(source)
        for target in sorted(targets):
            there = unit(target)
            if source == "gradcheck" or here is None:
                continue
            if target == "gradcheck":
                found.append(f"{source} imports the package itself, not the module it needs")
            elif there is not None and here != there and RANK[there] >= RANK[here]:
                found.append(f"{source} imports {target}, which is not below it")
    return found


def strangers(root: Path) -> list[str]:
    return [
        f"{source} imports {target}; {' and '.join(sorted(pair))} never see each other"
        for source, targets in edges(root).items()
        for target in sorted(targets)
        for pair in STRANGERS
        if {unit(source), unit(target)} == pair
    ]


def cycles(root: Path) -> list[str]:
    """Modules that reach themselves, by depth-first search."""
    graph, found, finished = edges(root), set(), set()

    def visit(module: str, path: list[str]) -> None:
        if module in path:
            cycle = path[path.index(module) :]
            first = cycle.index(min(cycle))
            found.add(" -> ".join([*cycle[first:], *cycle[:first], min(cycle)]))
        elif module not in finished:
            for target in sorted(graph.get(module, ())):
                visit(target, [*path, module])
            finished.add(module)

    for module in graph:
        if module != "gradcheck":  # its lazy imports reach everything
            visit(module, [])
    return sorted(found)


def strays(root: Path) -> list[str]:
    """Third-party imports outside the files they are confined to."""
    found = []
    for source, targets in edges(root).items():
        for package in sorted({target.split(".")[0] for target in targets}):
            if package in sys.stdlib_module_names or package in {"numpy", source.split(".")[0]}:
                continue
            if source.startswith("reference_models"):
                found.append(f"{source} imports {package}; it may import numpy alone")
            elif not is_below(source, CONFINED.get(package, [])):
                allowed = ", ".join(CONFINED.get(package, ["nothing"]))
                found.append(f"{source} imports {package}, which is confined to {allowed}")
    return found


def heavy(root: Path) -> list[str]:
    """What the package itself imports at import time beyond numpy and its light modules."""
    path = modules(root)["gradcheck"]
    found = []
    for statement in _run_at_import(ast.parse(path.read_text("utf-8")).body):
        for base, taken in imports(statement, "gradcheck"):
            targets = {f"{base}.{x}" for x in taken} & modules(root).keys() or {base}
            found += [
                f"gradcheck loads {target} at import time"
                for target in sorted(targets - LIGHT)
                if target.split(".")[0] not in sys.stdlib_module_names | {"numpy"}
            ]
    return found


def _run_at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements outside functions and outside ``if TYPE_CHECKING:``."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
            yield from _run_at_import(statement.orelse)
        elif hasattr(statement, "body"):
            for block in ("body", "orelse", "finalbody"):
                yield from _run_at_import(getattr(statement, block, []))
            for handler in getattr(statement, "handlers", []):
                yield from _run_at_import(handler.body)
        else:
            yield statement


RULES = [unranked, stale, upward, strangers, cycles, strays, heavy]


# --- this project -------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_the_imports_of_this_project_break_no(rule):
    assert rule(ROOT) == []


def test_imports_were_read_at_all():
    assert "gradcheck.problem" in edges(ROOT)["gradcheck.engines.base"]
    assert "reference_models" in {
        t.split(".")[0] for t in edges(ROOT)["gradcheck.engines.reference"]
    }


# --- a small tree with planted defects ------------------------------------------------------------


@pytest.fixture
def tree(tmp_path):
    """A project with an empty file for every module of the table, in order."""

    def write(files: dict[str, str]) -> Path:
        empty = {f"{name.replace('.', '/')}.py": "" for name in RANK if not _is_folder(name)}
        folders = {f"{name.replace('.', '/')}/__init__.py": "" for name in RANK if _is_folder(name)}
        for name, text in {"gradcheck/__init__.py": "", **empty, **folders, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        return tmp_path

    return write


def _is_folder(name: str) -> bool:
    return (ROOT / name.replace(".", "/")).is_dir()


def test_a_tree_in_order_breaks_no_rule(tree):
    root = tree(
        {
            "gradcheck/__init__.py": "from gradcheck.problem import Problem\nimport numpy\n"
            "if TYPE_CHECKING:\n    from gradcheck import engines\n"
            "def __getattr__(name):\n    from gradcheck.engines import base\n",
            "gradcheck/engines/base.py": "from gradcheck.problem import Problem",
            "gradcheck/engines/reference.py": "from gradcheck.engines import base\n"
            "from reference_models import a",
            "reference_models/a.py": "import numpy, math",
        }
    )
    assert [message for rule in RULES for message in rule(root)] == []


@pytest.mark.parametrize(
    ("rule", "file", "text", "told"),
    [
        (unranked, "gradcheck/novel.py", "", "gradcheck.novel has no rank: put it"),
        (
            upward,
            "gradcheck/problem.py",
            "import gradcheck.selftest",
            "problem imports gradcheck.selftest",
        ),
        (
            upward,
            "gradcheck/problem.py",
            "from . import selftest",
            "problem imports gradcheck.selftest",
        ),
        (
            upward,
            "gradcheck/problem.py",
            "from .selftest import x",
            "problem imports gradcheck.selftest",
        ),
        (
            upward,
            "gradcheck/problem.py",
            "from gradcheck import check_gradient",
            "problem imports the package itself",
        ),
        (
            upward,
            "gradcheck/problem.py",
            "def f():\n  from gradcheck import selftest",
            "gradcheck.selftest",
        ),
        (
            upward,
            "gradcheck/problem.py",
            "if TYPE_CHECKING:\n  import gradcheck.selftest",
            "selftest",
        ),
        (upward, "gradcheck/splitmix64.py", "import gradcheck.arrays", "gradcheck.arrays"),
        (upward, "gradcheck/differences/a.py", "from ..engines.base import Engine", "engines.base"),
        (
            strangers,
            "gradcheck/engines/a.py",
            "import gradcheck.differences.b",
            "never see each other",
        ),
        (
            strangers,
            "gradcheck/differences/a.py",
            "import gradcheck.engines.b",
            "never see each other",
        ),
        (
            strays,
            "gradcheck/selftest.py",
            "import pandas as pd",
            "selftest imports pandas, which is conf",
        ),
        (
            strays,
            "gradcheck/selftest.py",
            "from matplotlib.pyplot import plot",
            "imports matplotlib",
        ),
        (strays, "gradcheck/selftest.py", "importlib.import_module('tqdm')", "imports tqdm"),
        (
            strays,
            "gradcheck/selftest.py",
            "import requests",
            "imports requests, which is confined to nothing",
        ),
        (strays, "gradcheck/selftest.py", "import reference_models.losses", "reference_models"),
        (strays, "gradcheck/engines/base.py", "from reference_models import a", "engines.base"),
        (strays, "gradcheck/pytree.py", "def f():\n  import hypothesis", "imports hypothesis"),
        (
            strays,
            "reference_models/a.py",
            "import gradcheck",
            "reference_models.a imports gradcheck",
        ),
        (strays, "reference_models/a.py", "import scipy", "it may import numpy alone"),
        (
            heavy,
            "gradcheck/__init__.py",
            "from gradcheck.selftest import Cost",
            "loads gradcheck.selftest",
        ),
        (
            heavy,
            "gradcheck/__init__.py",
            "from gradcheck import engines",
            "loads gradcheck.engines",
        ),
        (
            heavy,
            "gradcheck/__init__.py",
            "try:\n  import pandas\nexcept E:\n  pass",
            "loads pandas",
        ),
    ],
)
def test_a_planted_defect_is_named(rule, file, text, told, tree):
    (message,) = rule(tree({file: text}))
    assert told in message


def test_a_table_entry_without_a_file_is_named(tree):
    root = tree({})
    (root / "gradcheck/selftest.py").unlink()
    assert stale(root) == ["ORDER names gradcheck.selftest, which does not exist"]


@pytest.mark.parametrize("package", ["gradcheck/differences", "reference_models"])
def test_a_cycle_inside_a_folder_is_named(package, tree):
    root = tree(
        {
            f"{package}/a.py": "from .b import x",
            f"{package}/b.py": "def f():\n    from .c import x",
            f"{package}/c.py": "from . import a",
            f"{package}/d.py": "from . import a",
        }
    )
    name = package.replace("/", ".")
    assert cycles(root) == [f"{name}.a -> {name}.b -> {name}.c -> {name}.a"]


# --- the cost of `import gradcheck` ---------------------------------------------------------------


def _in_fresh_interpreter(program: str) -> str:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def test_importing_gradcheck_loads_no_third_party_package_but_numpy():
    loaded = _in_fresh_interpreter("import sys, gradcheck; print(*sys.modules)").split()
    packages = {name.split(".")[0] for name in loaded}
    assert "gradcheck" in packages
    assert packages.isdisjoint(CONFINED)


def test_importing_gradcheck_loads_one_module_besides_numpy():
    program = (
        "import sys, numpy; old = {*sys.modules}; import gradcheck; print(*{*sys.modules} - old)"
    )
    assert set(_in_fresh_interpreter(program).split()) - {"__future__"} == {"gradcheck"}
