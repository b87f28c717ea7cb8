using System.Buffers;

namespace Glm.Tokenizers;

/// <summary>Names of special tokens that are looked for in text; where several begin at one place, the longest counts.</summary>
internal sealed class SpecialNames
{
    private readonly (string Name, int Id)[] _longestFirst;
    private readonly SearchValues<string> _search;

    public SpecialNames(IEnumerable<KeyValuePair<string, int>> names)
    {
        _longestFirst = [.. names.Select(name => (name.Key, name.Value)).OrderByDescending(name => name.Key.Length)];
        _search = SearchValues.Create([.. _longestFirst.Select(name => name.Name)], StringComparison.Ordinal);
    }

    /// <summary>The ids of a text, cut at the names; every segment between them is encoded on its own.</summary>
    public int[] Encode(Tokenizer tokenizer, ReadOnlySpan<char> text)
    {
        var ids = new List<int>();
        while (!text.IsEmpty)
        {
            int at = text.IndexOfAny(_search);
            if (at < 0) at = text.Length;
            var segment = text[..at];
            text = text[at..];
            if (Starting(text) is { } special)
            {
                text = text[special.Name.Length..];
                if (tokenizer.Special.MasksTakeSpaceBefore && tokenizer.IsMask(special.Id)) segment = segment.TrimEnd();
                if (!segment.IsEmpty) tokenizer.Encode(segment, ids);
                ids.Add(special.Id);
            }
            else tokenizer.Encode(segment, ids);
        }
        return [.. ids];
    }

    private (string Name, int Id)? Starting(ReadOnlySpan<char> text)
    {
        foreach (var special in _longestFirst)
            if (text.StartsWith(special.Name, StringComparison.Ordinal)) return special;
        return null;
    }
}
