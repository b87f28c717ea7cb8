using System.Globalization;
using System.Text;

namespace Glm.Tokenizers;

/// <summary>The pieces of a SentencePiece model, checked and indexed for encoding and decoding.</summary>
internal sealed class Vocabulary
{
    private const int MaximumPieceBytes = 4096;

    private readonly IReadOnlyList<SentencePiece> _pieces;
    private readonly Dictionary<string, int> _matchable = [];
    private readonly Dictionary<string, int> _reserved = [];
    private readonly int[]? _byteIds;

    /// <exception cref="GlmException">A piece is missing, double or malformed.</exception>
    public Vocabulary(SentencePieceModel model, string file)
    {
        _pieces = model.Pieces;
        UnknownId = -1;
        if (model.Trainer.ByteFallback) _byteIds = Enumerable.Repeat(-1, 256).ToArray();
        for (int id = 0; id < _pieces.Count; id++)
        {
            Register(id, file);
            if (_pieces[id].Type != PieceType.Unknown) continue;
            UnknownId = UnknownId < 0 ? id : throw new GlmException($"{file}: piece {id}: expected one piece of type unknown, found a second after piece {UnknownId}");
        }
        if (UnknownId < 0)
            throw new GlmException($"{file}: pieces: expected one of type unknown, found none");
        if (_byteIds is not null && Array.IndexOf(_byteIds, -1) is >= 0 and var missing)
            throw new GlmException($"{file}: pieces: expected all 256 bytes because byte_fallback is set, found no <0x{missing:X2}>");
    }

    public int Count => _pieces.Count;

    /// <summary>Id of the unknown piece.</summary>
    public int UnknownId { get; }

    public SentencePiece this[int id] => _pieces[id];

    /// <summary>Id of a piece by its text, or the unknown id. Control, unknown and byte pieces win over ordinary ones.</summary>
    public int IdOf(string text) =>
        _reserved.TryGetValue(text, out int id) || _matchable.TryGetValue(text, out id) ? id : UnknownId;

    /// <summary>A trie of the pieces of the given types, or null if there are none.</summary>
    public DoubleArray? TrieOf(params ReadOnlySpan<PieceType> types)
    {
        var keys = new List<byte[]>();
        var ids = new List<int>();
        for (int id = 0; id < Count; id++)
        {
            if (!types.Contains(_pieces[id].Type)) continue;
            keys.Add(Encoding.UTF8.GetBytes(_pieces[id].Text));
            ids.Add(id);
        }
        return keys.Count == 0 ? null : DoubleArray.Build([.. keys], [.. ids]);
    }

    /// <summary>The value of a byte piece.</summary>
    public byte ByteOf(int id) => ByteIn(_pieces[id].Text);

    /// <summary>
    /// Appends what <paramref name="text"/>, cut out with the id <paramref name="id"/>, becomes: its bytes if it is unknown and
    /// there are byte pieces; nothing if it continues a run of unknown text; else the id.
    /// </summary>
    public void Append(int id, ReadOnlySpan<byte> text, List<int> ids, ref bool afterUnknown)
    {
        bool unknown = id == UnknownId;
        if (unknown && _byteIds is not null)
            AppendBytes(text, ids);
        else if (!(unknown && afterUnknown))
            ids.Add(id);
        afterUnknown = unknown;
    }

    /// <summary>Appends the byte pieces of <paramref name="text"/>; there must be byte fallback.</summary>
    public void AppendBytes(ReadOnlySpan<byte> text, List<int> ids)
    {
        foreach (byte b in text) ids.Add(_byteIds![b]);
    }

    private void Register(int id, string file)
    {
        (string text, _, PieceType type) = _pieces[id];
        if (Encoding.UTF8.GetByteCount(text) > MaximumPieceBytes)
            throw new GlmException($"{file}: piece {id}: expected at most {MaximumPieceBytes} bytes, found {Encoding.UTF8.GetByteCount(text)}");
        bool matchable = type is PieceType.Normal or PieceType.UserDefined or PieceType.Unused;
        if (!(matchable ? _matchable : _reserved).TryAdd(text, id))
            throw new GlmException($"{file}: piece {id}: expected a new text, found \"{text}\" again");
        if (type == PieceType.Byte) RegisterByte(id, text, file);
    }

    // In <0x0A>, 10.
    private static byte ByteIn(string text) => byte.Parse(text.AsSpan(3, 2), NumberStyles.AllowHexSpecifier);

    private void RegisterByte(int id, string text, string file)
    {
        if (_byteIds is null)
            throw new GlmException($"{file}: piece {id}: expected no byte pieces because byte_fallback is not set, found {text}");
        if (text is not ['<', '0', 'x', var high, var low, '>'] || !char.IsAsciiHexDigitUpper(high) || !char.IsAsciiHexDigitUpper(low))
            throw new GlmException($"{file}: piece {id}: expected a byte piece like <0x0A>, found \"{text}\"");
        _byteIds[ByteIn(text)] = id;
    }
}
