using System.Runtime.InteropServices;

namespace Glm.Tokenizers;

/// <summary>
/// Prepares text as SentencePiece does: user-defined pieces are copied untouched, then the longest rule of the character map
/// applies, else the character stays; spaces are trimmed, squeezed and escaped as the specification says.
/// </summary>
internal sealed class Normalizer
{
    private readonly CharsMap? _map;
    private readonly DoubleArray? _userDefined;
    private readonly byte[] _space;
    private readonly bool _addPrefix, _addSuffix, _removeExtra;
    private readonly bool _simple;

    /// <param name="model">The model whose rules apply.</param>
    /// <param name="userDefined">Trie of the user-defined pieces, or null where there are none.</param>
    /// <param name="file">Name of the model's file, for messages.</param>
    public Normalizer(SentencePieceModel model, DoubleArray? userDefined, string file)
    {
        NormalizerSpec spec = model.Normalizer;
        _map = spec.PrecompiledCharsMap.IsEmpty ? null : new CharsMap(spec.PrecompiledCharsMap.Span, file);
        _userDefined = userDefined;
        _space = spec.EscapeWhitespaces ? "\u2581"u8.ToArray() : " "u8.ToArray();
        _addPrefix = spec.AddDummyPrefix && !model.Trainer.TreatWhitespaceAsSuffix;
        _addSuffix = spec.AddDummyPrefix && model.Trainer.TreatWhitespaceAsSuffix;
        _removeExtra = spec.RemoveExtraWhitespaces;
        _simple = _map is null && userDefined is null && !_removeExtra;
    }

    /// <summary>Appends the prepared form of <paramref name="text"/> (valid UTF-8) to <paramref name="output"/>.</summary>
    public void Normalize(ReadOnlySpan<byte> text, List<byte> output)
    {
        if (_removeExtra) text = SkipSpaces(text);
        if (text.IsEmpty) return;
        if (_addPrefix) output.AddRange(_space);
        if (_simple) EscapeSpaces(text, output);
        else ApplyRules(text, output);
        if (_removeExtra)
            while (CollectionsMarshal.AsSpan(output).EndsWith(_space)) CollectionsMarshal.SetCount(output, output.Count - _space.Length);
        if (_addSuffix) output.AddRange(_space);
    }

    private void ApplyRules(ReadOnlySpan<byte> text, List<byte> output)
    {
        bool afterSpace = _removeExtra;
        while (!text.IsEmpty)
        {
            ReadOnlySpan<byte> next = NormalizePrefix(text, out int consumed);
            if (afterSpace) next = next.TrimStart((byte)' ');
            if (!next.IsEmpty)
            {
                EscapeSpaces(next, output);
                afterSpace = _removeExtra && next[^1] == ' ';
            }
            text = text[consumed..];
        }
    }

    private ReadOnlySpan<byte> SkipSpaces(ReadOnlySpan<byte> text)
    {
        while (!text.IsEmpty && NormalizePrefix(text, out int consumed).SequenceEqual(" "u8)) text = text[consumed..];
        return text;
    }

    private ReadOnlySpan<byte> NormalizePrefix(ReadOnlySpan<byte> text, out int consumed)
    {
        if (_userDefined is not null && (consumed = _userDefined.LongestPrefix(text)) > 0) return text[..consumed];
        if (_map is not null && (consumed = _map.Match(text, out ReadOnlySpan<byte> replacement)) > 0) return replacement;
        consumed = Math.Min(Utf8.LengthAt(text[0]), text.Length);
        return text[..consumed];
    }

    private void EscapeSpaces(ReadOnlySpan<byte> text, List<byte> output)
    {
        for (int space; (space = text.IndexOf((byte)' ')) >= 0; text = text[(space + 1)..])
        {
            output.AddRange(text[..space]);
            output.AddRange(_space);
        }
        output.AddRange(text);
    }
}
