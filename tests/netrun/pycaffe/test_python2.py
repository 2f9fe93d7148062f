"""Files of Python 2 mean what they mean there; the right values are those of Python 2.7.18."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from netrun.pycaffe.python2 import importing, reader

Run = Callable[[str], list[str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run these lines, which are Python 2, in an empty folder: the lines they print."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    def call(lines: str) -> list[str]:
        code = reader.code(lines, "script.py")
        assert code is not None, "not read as Python 2"
        names: dict[str, object] = {"__name__": "__main__"}
        importing.use(names)
        exec(code, names)
        return capsys.readouterr().out.splitlines()

    return call


CASES = {
    "whole numbers divide to whole numbers": (
        "print 7/2, -7/2, 7/2.0, True/2, 10L/3\n"
        "x = 7; x /= 2; print x\n"
        "l = [9, 8]; l[1] /= 3; print l\n"
        "d = {'a': 7}; d['a'] /= 2; print d['a']\n"
        "def f(a=7 / 2): return a\n"
        "print f()",
        ["3 -4 3.5 0 3", "3", "[9, 2]", "3", "3"],
    ),
    "attributes divide, private ones too": (
        "class A(object):\n"
        "    __p = 9\n"
        "    def half(self):\n"
        "        self.__p /= 2\n"
        "        return self.__p\n"
        "a = A(); a.q = 5; a.q /= 2; print a.half(), a.q, a._A__p",
        ["4 2 4"],
    ),
    "with division from __future__, they do not": (
        "from __future__ import division\nprint 7/2, zip([1], [2])",
        ["3.5 [(1, 2)]"],
    ),
    "arrays of whole numbers": (
        "import numpy as np\n"
        "a = np.array([7, -7]); print list(map(int, a / 2)), (a / 2.).tolist()\n"
        "a /= 2; print a.tolist(), (np.array([1, 3]) / [1, 2]).tolist()\n"
        "b = np.array([1., 2.]); c = b; c /= 2; print b.tolist()\n"
        "e = np.arange(6).reshape(2, 3); e[:, 1] /= 2; print e.tolist()\n"
        "print int(np.int64(7) / 2), isinstance(np.int64(3), int), np.array(zip([1], [2])).shape",
        [
            "[3, -4] [3.5, -3.5]",
            "[3, -4] [1, 1]",
            "[0.5, 1.0]",
            "[[0, 0, 2], [3, 2, 5]]",
            "3 True (1, 2)",
        ],
    ),
    "functions that give lists": (
        "print zip([1, 2], [3, 4]), map(None, [1, 2], [3]), range(3), range(1) + range(2)\n"
        "print filter(None, 'a b'), filter(lambda v: v > 1, (1, 2)), filter(None, [0, 1])\n"
        "print map(str, [0.1 + 0.2, 1]), map(lambda a, b: (a, b), [1], [2, 3])",
        [
            "[(1, 3), (2, 4)] [(1, 3), (2, None)] [0, 1, 2] [0, 0, 1]",
            "a b (2,) [1]",
            "['0.3', '1'] [(1, 2), (None, 3)]",
        ],
    ),
    "dictionaries": (
        "d = {'a': 1}\n"
        "print d.keys()[0], d.values()[0], d.items(), d.has_key('a'), d.has_key('b')\n"
        "for k, v in d.iteritems(): print k, v, d.iterkeys().next(), list(d.itervalues())\n"
        "class Box(object):\n    items = [1]\n    def keys(self): return 'mine'\n"
        "print Box().items, Box().keys(), Box.items",
        ["a 1 [('a', 1)] True False", "a 1 a [1]", "[1] mine [1]"],
    ),
    "builtins": (
        "print reduce(lambda a, b: a + b, [1, 2]), cmp(1, 2), unichr(97), long(3), oct(8)\n"
        "print isinstance(3L, (int, long)), isinstance(u'x', basestring), isinstance(u'x', "
        "unicode)\n"
        "print sorted([1, 3, 2], cmp=lambda a, b: b - a), apply(max, (1, 2)), list(xrange(2))\n"
        "print unicode('a'), unicode(b'\\xc3\\xa9', 'utf-8') == u'\\xe9', str(1), callable(len)",
        ["3 -1 a 3 010", "True True True", "[3, 2, 1] 2 [0, 1]", "a True 1 True"],
    ),
    "values of any two types have an order": (
        "print None < 0, None >= 0, 'a' > 3, [] > {}, max(None, 3), min([2, None])\n"
        "print sorted([3, None, 'a', 1.5])\n"
        "l = [2, 'b', None]; l.sort(); print l; l.sort(lambda a, b: cmp(b, a)); print l",
        [
            "True False True True 3 None",
            "[None, 1.5, 3, 'a']",
            "[None, 2, 'b']",
            "['b', 2, None]",
        ],
    ),
    "dictionaries of mixed keys have an order": (
        "print {1: 2, 'a': 3} < {1: 2, 'a': 4}, cmp({'a': 1, 2: 1}, {'a': 1, 2: 1})\n"
        "print list(dict.iteritems({1: 2})), [].__class__.__name__",
        ["True 0", "[(1, 2)] list"],
    ),
    "even functions have an order": (
        "assert len > 0\nprint (lambda: 0) > 3, [1, 'a'] < [1, None], {1: 2} < {1: 3}\n"
        "print cmp([1], [1, 2])",
        ["True False True", "-1"],
    ),
    "hasattr and getattr see what Python 2 has": (
        "print hasattr({}, 'has_key'), hasattr({}, 'no'), getattr({'k': 1}, 'iteritems')().next()",
        ["True False ('k', 1)"],
    ),
    "comprehensions over values without brackets": (
        "print [x for x in 1, 2, 3], [a for a in 1, 2 if a > 1]\n"
        "print [(b, c) for b in 1, 2 for c in 3, 4]",
        ["[1, 2, 3] [2]", "[(1, 3), (1, 4), (2, 3), (2, 4)]"],
    ),
    "floats have 12 digits": (
        "print 1/3., repr(1/3.), 1e16, 123456789012.5, 1e11, 2.0, -0.0, str(0.1 + 0.2)\n"
        "print '%s %r %.2f %d' % (1/3., 1/3., 1/3., 3), '{} {:.3f}'.format(1/3., 1/3.), [0.1]",
        [
            "0.333333333333 0.3333333333333333 1e+16 1.23456789012e+11 1e+11 2.0 -0.0 0.3",
            "0.333333333333 0.3333333333333333 0.33 3 0.333333333333 0.333 [0.1]",
        ],
    ),
    "rounding": (
        "import math\n"
        "print round(2.5), round(-2.5), round(2.675, 2), round(0.125, 2), round(1234.5, -2)\n"
        "print math.floor(3.7), math.ceil(3.2), math.floor(7) / 2",
        ["3.0 -3.0 2.67 0.13 1200.0", "3.0 4.0 3.5"],
    ),
    "literals": (
        "x = [1]\nprint 0777, 0xFFL, 10L, 7L.real, 017L,"
        " ur'a\\d', u'x', `x`, 1 <> 2, 'C:\\users', '\\N'",
        ["511 255 10 7 15 a\\d x [1] True C:\\users \\N"],
    ),
    "statements": (
        "exec 'y = 7 / 2'\nprint y\n"
        "names = {}; exec 'q = zip([1], [2])' in names; print names['q'], eval('9/2')\n"
        "try:\n    raise ValueError, 'bad'\n"
        "except (ValueError, KeyError), e:\n    print e, e.message\n"
        "print e\n"
        "try:\n    raise IOError(2, 'gone')\n"
        "except IOError, (number, said):\n    print number, said\n"
        "open('other.py', 'w').write('OTHER = 9 / 2')\nexecfile('other.py'); print OTHER",
        ["3", "[(1, 2)] 4", "bad bad", "bad", "2 gone", "4"],
    ),
    "exec in a function": (
        "def f(a):\n    x = 0\n    exec 'x = 5'\n"
        "    if a: exec 'import math as m; y = x + a'\n"
        "    exec 'x /= 2'\n    return x, m.sqrt(4), y\n"
        "print f(1)",
        ["(2, 2.0, 6)"],
    ),
    "print": (
        "import sys\n"
        "print\nprint (1), 2\nprint ('a', 1)\nprint ('x %d'\n  % 3), 'end'\nprint "
        "-1\nprint [1][0]\n"
        "print ('%d') % 3\nprint ('{}').format(4)\nprint 'a',; print 'b',\nprint\n"
        "print 'soft',\nsys.stdout.write('written\\n')\nprint 'nl\\n', 'after'\n"
        "print >>sys.stdout, 'to', 7 / 2; print >>sys.stdout",
        [
            *("", "1 2", "('a', 1)", "x 3 end", "-1", "1", "3", "4", "a b"),
            *("softwritten", "nl", "after", "to 3", ""),
        ],
    ),
    "parameters that are tuples": (
        "f = lambda (a, b), c: a + b + c\n"
        "def g(a, (b, (c, d)), e=1):\n    'doc'\n    return a + b + c + d + e\n"
        "print f((1, 2), 3), g(1, (2, (3, 4))), g.__doc__, g.func_name\n"
        "print sorted({'a': 2, 'b': 1}.items(), key=lambda (k, v): v)",
        ["6 11 doc g", "[('b', 1), ('a', 2)]"],
    ),
    "variables of list comprehensions stay": (
        "i = 99\nsquares = [i * i for i in range(4)]\nprint i, squares\n"
        "def f():\n    k = [(a, b) for a in range(2) for b in range(2) if b]\n    return a, b, k\n"
        "def g():\n    global h\n    [h for h in range(3)]\n"
        "g(); print h\n"
        "print f(), [[n for n in range(m)] for m in range(3)], n",
        ["3 [0, 1, 4, 9]", "2", "(1, 1, [(0, 1), (1, 1)]) [[], [0], [0, 1]] 1"],
    ),
    "classes": (
        "class P(object):\n"
        "    def __init__(self, v): self.v = v\n"
        "    def __div__(self, other): return 'divided'\n"
        "    def __nonzero__(self): return self.v > 0\n"
        "    def __cmp__(self, other): return cmp(self.v, other.v)\n"
        "class It:\n"
        "    n = 0\n"
        "    def __iter__(self): return self\n"
        "    def next(self):\n"
        "        self.n += 1\n"
        "        if self.n > 2: raise StopIteration\n"
        "        return self.n\n"
        "class Meta(type):\n"
        "    def __new__(cls, name, bases, own):\n"
        "        own['made'] = 1\n"
        "        return type.__new__(cls, name, bases, own)\n"
        "class With(object):\n    __metaclass__ = Meta\n"
        "class Same(object):\n    def __eq__(self, other): return True\n"
        "print P(1) / 2, bool(P(0)), P(1) < P(2), P(1) == P(1), list(It()), It().next()\n"
        "print With.made, len({Same(): 1})",
        ["divided False True True [1, 2] 1", "1 1"],
    ),
    "modules": (
        "import cPickle, cStringIO, StringIO, Queue, ConfigParser, __builtin__, itertools, string\n"
        "import urllib, urllib2, urlparse, os, sys, types, os.path as p\n"
        "from itertools import izip\nfrom string import join\nfrom math import *\n"
        "print cPickle.loads(cPickle.dumps({'a': 1})), izip([1], [2]).next(), join(['a', 'b'])\n"
        "s = StringIO.StringIO(); print >>s, 'in', 7 / 2; print repr(s.getvalue())\n"
        "print cStringIO.StringIO('a\\nb').readlines(), string.letters[:2], string.upper('a')\n"
        "print urllib.quote('a b'), urlparse.urlparse('http://a/b').netloc, floor(2.5), pi > 3\n"
        "print sys.maxint > 0, os.getcwdu() == os.getcwd(), p.join('a', 'b'), sys.path is "
        "not None\n"
        "print types.StringType is str, __builtin__.range is range, urllib2.quote is urllib.quote",
        [
            "{'a': 1} (1, 2) a b",
            "'in 3\\n'",
            "['a\\n', 'b'] ab A",
            "a%20b a 2.0 True",
            "True True a/b True",
            "True True True",
        ],
    ),
    "random numbers for a seed": (
        "import random\n"
        "random.seed(5); x = range(10); random.shuffle(x); print x, random.choice(x)\n"
        "print random.randint(1, 100), random.sample(range(100), 3), random.randrange(0, 50, 3)\n"
        "random.seed('abc'); print random.random(), random.Random(3).randint(0, 9)",
        ["[3, 2, 1, 0, 5, 4, 7, 8, 9, 6] 7", "91 [11, 46, 24] 27", "0.0963937497877 2"],
    ),
    "generators end by StopIteration": (
        "def g(n):\n    'doc'\n    for i in range(5):\n"
        "        if i == n: raise StopIteration\n        yield i\n"
        "def h(it):\n    while 1: yield it.next() * 2\n"
        "print list(g(3)), list(h(iter([1, 2]))), g.__doc__",
        ["[0, 1, 2] [2, 4] doc"],
    ),
    "global and import * inside a function": (
        "count = 0\ndef f():\n    count = 5\n    if 1:\n        global count\n    return count\n"
        "def g():\n    from math import *\n    return floor(2.5), pi > 3\n"
        "args = 1\nglobal args\nprint f(), count, g(), args",
        ["5 5 (2.0, True) 1"],
    ),
    "bytes and text are one": (
        "open('b', 'wb').write('RIFF1234'); d = open('b', 'rb').read()\n"
        "print d[:4] == 'RIFF', d != 'R', d.startswith('RI'), d.split('1')[0], 'FF' in d, d\n"
        "print b'a' == 'a', b'a' in ['a'], 'a' not in [b'a'], '%s' % b'x', '{}'.format(b'y')",
        ["True True True RIFF True RIFF1234", "True True False x y"],
    ),
    "files": (
        "import csv, os, pickle, subprocess, hashlib\n"
        "open('t', 'w').write('a\\r\\nb\\rc\\n'); print repr(open('t').read())\n"
        "print open('t').readlines(), open('t', 'rU').readlines(), isinstance(open('t'), file)\n"
        "f = file('b', 'wb'); f.write('text'); f.close();"
        " print os.path.getsize('b'), open('b').next()\n"
        "f = open('c', 'wb'); csv.writer(f).writerow([1, 'a', 0.5]); f.close()\n"
        "print list(csv.reader(open('c', 'rb'))), hashlib.md5('abc').hexdigest()[:4]\n"
        "f = open('p', 'w'); pickle.dump({'k': 1}, f); f.close(); print pickle.load(open('p'))\n"
        "print subprocess.check_output(['echo', 'hi']).split()",
        [
            "'a\\r\\nb\\rc\\n'",
            "['a\\r\\n', 'b\\rc\\n'] ['a\\n', 'b\\n', 'c\\n'] True",
            "4 text",
            "[['1', 'a', '0.5']] 9001",
            "{'k': 1}",
            "['hi']",
        ],
    ),
    "text": (
        "print 'abc'.encode('hex'), 'YWJj\\n'.decode('base64'), 'a'.decode('utf-8') + 'b'\n"
        "print u'\\xe9'.encode('utf-8'), u'\\xe9a'.encode('ascii', 'ignore'), "
        "'abc'.translate(None, 'b')",
        ["616263 abc ab", "é a ac"],
    ),
    "tabs go to multiples of eight": ("if 1:\n\tprint 'a'\n        print 'b'", ["a", "b"]),
}


@pytest.mark.parametrize(("lines", "said"), CASES.values(), ids=CASES)
def test_python_2_prints_this(run: Run, lines: str, said: list[str]) -> None:
    assert run(lines) == said


def test_a_name_that_exec_in_a_function_cannot_hide_is_refused(run: Run) -> None:
    with pytest.raises(NameError, match="hides 'size' of the file"):
        run("size = 1\ndef f():\n    exec 'size = 2'\n    return size\nprint f()")


def test_a_string_that_is_raised_is_shown(run: Run) -> None:
    with pytest.raises(TypeError, match="not str: no such layer"):
        run("print 1\nraise 'no such layer'")
