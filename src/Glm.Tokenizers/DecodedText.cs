using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;

namespace Glm.Tokenizers;

/// <summary>
/// Collects what ids decode to. Bytes wait until they form a whole character or can no longer become one. What is no character becomes U+FFFD: each byte
/// where bytes come one by one, as in SentencePiece; each longest beginning of a character where they come in strings, as in Python.
/// </summary>
internal sealed class DecodedText(bool raw = false)
{
    private readonly StringBuilder _text = new();
    private readonly List<byte> _bytes = [];
    private bool _strings;

    /// <summary>Whether nothing has been decoded yet, so that the space of the dummy prefix is still to be dropped.</summary>
    public bool AtStart { get; set; } = true;

    /// <summary>Appends text; the bytes before it are complete.</summary>
    public void Append(ReadOnlySpan<char> text)
    {
        EndBytes();
        if (text.IsEmpty) return;
        if (raw) _bytes.AddRange(Encoding.UTF8.GetBytes(text.ToArray()));
        _text.Append(text);
        AtStart = false;
    }

    /// <summary>Appends a piece, in which U+2581 stands for the space.</summary>
    public void AppendPiece(ReadOnlySpan<char> piece)
    {
        if (raw)
        {
            Append(piece.ToString().Replace('\u2581', ' '));
            return;
        }
        Append(piece);
        _text.Replace('\u2581', ' ', _text.Length - piece.Length, piece.Length);
    }

    /// <summary>Appends one byte of UTF-8.</summary>
    public void Append(byte value)
    {
        _bytes.Add(value);
        DecodeBytes(final: false);
    }

    /// <summary>Appends some bytes of UTF-8.</summary>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        _strings = true;
        _bytes.AddRange(bytes);
        DecodeBytes(final: false);
    }

    /// <summary>Ends a run of bytes: what is not a whole character by now never will be.</summary>
    public void EndBytes() => DecodeBytes(final: true);

    /// <summary>Returns the finished text and forgets it.</summary>
    public string Take()
    {
        string text = _text.ToString();
        _text.Clear();
        return text;
    }

    /// <summary>Returns the bytes as they came, where they are kept raw: as they are, not as characters.</summary>
    public byte[] TakeBytes() => [.. _bytes];

    private void DecodeBytes(bool final)
    {
        if (raw) return;
        ReadOnlySpan<byte> rest = CollectionsMarshal.AsSpan(_bytes);
        Span<char> chars = stackalloc char[2];
        while (!rest.IsEmpty)
        {
            OperationStatus status = Rune.DecodeFromUtf8(rest, out Rune rune, out int consumed);
            if (status == OperationStatus.NeedMoreData && !final) break;
            if (status != OperationStatus.Done && !_strings) (rune, consumed) = (Rune.ReplacementChar, 1);
            _text.Append(chars[..rune.EncodeToUtf16(chars)]);
            AtStart = false;
            rest = rest[consumed..];
        }
        _bytes.RemoveRange(0, _bytes.Count - rest.Length);
    }
}
