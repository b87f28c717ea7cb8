using System.Globalization;
using System.Text;

namespace Glm.Inference;

/// <summary>
/// A regular expression as a grammar; all of a text has to match. Understood are characters, <c>.</c>, classes with ranges, <c>\d \w \s \D \W \S</c> (ASCII), escapes,
/// groups, <c>|</c> and <c>* + ? {m} {m,} {m,n}</c>, and <c>^</c> and <c>$</c> around the whole.
/// </summary>
internal sealed class RegexGrammar
{
    private const int MaximumRepeat = 1000, LastCodePoint = 0x10FFFF, MaximumDepth = 100;

    private static readonly (int, int)[] Digits = [('0', '9')], Word = [('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')], Space = [('\t', '\r'), (' ', ' ')];

    private readonly Grammar _grammar;
    private readonly int[] _pattern;
    private readonly (int First, int Last)[] _alphabet;
    private int _at, _depth;

    private RegexGrammar(Grammar grammar, string pattern, (int First, int Last)[] alphabet)
    {
        _grammar = grammar;
        _pattern = [.. pattern.EnumerateRunes().Select(rune => rune.Value)];
        _alphabet = alphabet;
    }

    /// <summary>The part that a pattern describes.</summary>
    /// <param name="grammar">Where to.</param>
    /// <param name="pattern">The pattern.</param>
    /// <param name="alphabet">Characters that there may be at all; any if null.</param>
    /// <exception cref="GlmException">It is not understood, or nothing could match it.</exception>
    public static Grammar.Part Parse(Grammar grammar, string pattern, (int First, int Last)[]? alphabet = null)
    {
        if (pattern.StartsWith('^')) pattern = pattern[1..];
        if (pattern.EndsWith('$') && !pattern.EndsWith("\\$", StringComparison.Ordinal)) pattern = pattern[..^1];
        var parser = new RegexGrammar(grammar, pattern, alphabet ?? [(0, LastCodePoint)]);
        var part = parser.Alternatives();
        return parser._at == parser._pattern.Length ? part() : throw parser.Error("its end", Rune(parser._pattern[parser._at]));
    }

    // What is parsed is a recipe, since what is repeated is made once for each copy.
    private Func<Grammar.Part> Alternatives()
    {
        if (++_depth > MaximumDepth) throw Error($"at most {MaximumDepth} groups in one another", "more");
        var choices = new List<Func<Grammar.Part>> { Sequence() };
        while (Take('|')) choices.Add(Sequence());
        _depth--;
        return choices.Count == 1 ? choices[0] : () => _grammar.Either([.. choices.Select(make => make())]);
    }

    private Func<Grammar.Part> Sequence()
    {
        var parts = new List<Func<Grammar.Part>>();
        while (_at < _pattern.Length && _pattern[_at] is not ('|' or ')')) parts.Add(Repeated());
        return () => _grammar.Sequence([.. parts.Select(make => make())]);
    }

    private Func<Grammar.Part> Repeated()
    {
        var part = Atom();
        while (Quantifier() is var (least, most))
        {
            var repeated = part;
            part = () => _grammar.Repeat(repeated, least, most);
        }
        return part;
    }

    private (int Least, int? Most)? Quantifier()
    {
        if (_at == _pattern.Length) return null;
        (int, int?)? found = _pattern[_at] switch { '*' => (0, null), '+' => (1, null), '?' => (0, 1), '{' => Bounds(), _ => null };
        if (found is not null) _at++;
        return found;
    }

    /// <summary>The numbers in braces; ends at the closing one.</summary>
    private (int, int?) Bounds()
    {
        int close = Array.IndexOf(_pattern, '}', _at);
        if (close < 0) throw Error("}", "its end");
        string[] numbers = string.Concat(_pattern[(_at + 1)..close].Select(Rune)).Split(',');
        if (numbers.Length > 2 || !Number(numbers[0], out int least)) throw Error("{m}, {m,} or {m,n}", "something else");
        int? most = least;
        if (numbers.Length == 2) most = numbers[1].Length == 0 ? null : Number(numbers[1], out int given) && given >= least ? given : throw Error("{m}, {m,} or {m,n}", "something else");
        _at = close;
        return (least, most);

        static bool Number(string text, out int value) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value) && value <= MaximumRepeat;
    }

    private Func<Grammar.Part> Atom()
    {
        if (_at == _pattern.Length) throw Error("a character", "its end");
        int c = _pattern[_at++];
        switch (c)
        {
            case '(':
                if (Take('?') && !Take(':')) throw Error("( or (?:", "(?" + (_at < _pattern.Length ? Rune(_pattern[_at]) : ""));
                var part = Alternatives();
                return Take(')') ? part : throw Error(")", "its end");
            case '[':
                return Character(Class());
            case '.':
                return Character([(0, '\n' - 1), ('\n' + 1, LastCodePoint)]);
            case '\\':
                return Character(Escape());
            case '*' or '+' or '?' or '{' or '^' or '$':
                throw Error("a character", Rune(c));
            default:
                return Character([(c, c)]);
        }
    }

    private (int First, int Last)[] Class()
    {
        bool negated = Take('^');
        var ranges = new List<(int First, int Last)>();
        for (bool first = true; first || !Take(']'); first = false)
        {
            if (_at == _pattern.Length) throw Error("]", "its end");
            int c = _pattern[_at++];
            var item = c == '\\' ? Escape() : [(c, c)];
            bool range = item.Length == 1 && item[0].Item1 == item[0].Item2 && _at + 1 < _pattern.Length && _pattern[_at] == '-' && _pattern[_at + 1] != ']';
            if (!range)
            {
                ranges.AddRange(item);
                continue;
            }
            _at++;
            int to = _pattern[_at++];
            var last = to == '\\' ? Escape() : [(to, to)];
            if (last.Length != 1 || last[0].Item1 != last[0].Item2 || last[0].Item1 < item[0].Item1) throw Error("a range in order", "another one");
            ranges.Add((item[0].Item1, last[0].Item1));
        }
        return negated ? Others(ranges) : [.. ranges];
    }

    private (int, int)[] Escape()
    {
        if (_at == _pattern.Length) throw Error("a character after \\", "its end");
        int c = _pattern[_at++];
        return c switch
        {
            'd' => Digits,
            'D' => Others(Digits),
            'w' => Word,
            'W' => Others(Word),
            's' => Space,
            'S' => Others(Space),
            'n' => [('\n', '\n')],
            'r' => [('\r', '\r')],
            't' => [('\t', '\t')],
            'x' => Hex(2),
            'u' => Hex(4),
            _ when c < 128 && char.IsAsciiLetterOrDigit((char)c) => throw Error("\\d, \\w, \\s, \\n, \\r, \\t, \\x, \\u or punctuation", "\\" + (char)c),
            _ => [(c, c)],
        };
    }

    private (int, int)[] Hex(int digits)
    {
        if (_at + digits > _pattern.Length || !int.TryParse(string.Concat(_pattern.Skip(_at).Take(digits).Select(Rune)), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value))
            throw Error($"{digits} hexadecimal digits", "something else");
        _at += digits;
        return [(value, value)];
    }

    private static (int, int)[] Others(IEnumerable<(int First, int Last)> ranges)
    {
        var others = new List<(int, int)>();
        int next = 0;
        foreach (var (first, last) in ranges.OrderBy(range => range.First))
        {
            if (first > next) others.Add((next, first - 1));
            next = Math.Max(next, last + 1);
        }
        if (next <= LastCodePoint) others.Add((next, LastCodePoint));
        return [.. others];
    }

    private Func<Grammar.Part> Character((int First, int Last)[] ranges)
    {
        (int First, int Last)[] allowed =
            [.. from range in ranges from limit in _alphabet select (Math.Max(range.First, limit.First), Math.Min(range.Last, limit.Last)) into both where both.Item1 <= both.Item2 select both];
        if (!allowed.Any(range => Utf8Ranges.Of(range.First, range.Last).Any())) throw Error("characters that may stand there", "none");
        return () => _grammar.Character(allowed);
    }

    private bool Take(int c)
    {
        if (_at == _pattern.Length || _pattern[_at] != c) return false;
        _at++;
        return true;
    }

    private static string Rune(int c) => new Rune(c).ToString();

    private GlmException Error(string expected, string found) => new($"pattern: expected {expected} at character {_at}, found {found}");
}
