using System.Runtime.InteropServices;
using System.Text;

namespace Glm.Tokenizers;

/// <summary>
/// Encodes and decodes with any SentencePiece model, unigram or BPE, giving the ids that SentencePiece gives. Safe for use from
/// several threads.
/// </summary>
public sealed class SentencePieceTokenizer
{
    private const int MaximumCharacters = 1 << 26;

    private readonly Vocabulary _vocabulary;
    private readonly Normalizer _normalizer;
    private readonly Segmenter _segmenter;
    private EncodingScratch? _scratch;

    /// <summary>Prepares a model for use; <paramref name="name"/> stands for its file in messages.</summary>
    /// <exception cref="GlmException">The model contradicts itself.</exception>
    public SentencePieceTokenizer(SentencePieceModel model, string name = "SentencePiece model")
    {
        Model = model;
        _vocabulary = new Vocabulary(model, name);
        DoubleArray? userDefined = _vocabulary.TrieOf(PieceType.UserDefined);
        _normalizer = new Normalizer(model, userDefined, name);
        _segmenter = model.Trainer.ModelType == SentencePieceAlgorithm.Bpe
            ? new BpeSegmenter(_vocabulary, userDefined, name)
            : new UnigramSegmenter(_vocabulary, name);
    }

    /// <summary>Reads a <c>.model</c> file.</summary>
    /// <exception cref="GlmException">The file cannot be read or is not a SentencePiece model.</exception>
    public static SentencePieceTokenizer Load(string path) => new(SentencePieceModel.Load(path), path);

    /// <summary>The model behind it.</summary>
    public SentencePieceModel Model { get; }

    /// <summary>Number of pieces.</summary>
    public int VocabularySize => _vocabulary.Count;

    /// <summary>Id of the unknown piece.</summary>
    public int UnknownId => _vocabulary.UnknownId;

    /// <summary>Id of the piece with this text (spaces as U+2581), or <see cref="UnknownId"/>.</summary>
    public int IdOf(string piece) => _vocabulary.IdOf(piece);

    /// <summary>The piece with this id.</summary>
    /// <exception cref="GlmException">There is none.</exception>
    public SentencePiece PieceOf(int id) => _vocabulary[Check(id)];

    /// <summary>Ids of <paramref name="text"/>.</summary>
    public int[] Encode(ReadOnlySpan<char> text)
    {
        var ids = new List<int>(text.Length / 2);
        Encode(text, ids);
        return [.. ids];
    }

    /// <summary>
    /// Appends the ids of <paramref name="text"/> to <paramref name="ids"/>; once the buffers have grown, without any garbage.
    /// A lone surrogate counts as U+FFFD.
    /// </summary>
    /// <exception cref="GlmException">The text is longer than 64 Mi characters.</exception>
    public void Encode(ReadOnlySpan<char> text, List<int> ids)
    {
        if (text.Length > MaximumCharacters)
            throw new GlmException($"text: expected at most {MaximumCharacters} characters in one call, found {text.Length}");
        // One caller at a time gets the kept memory, others work in memory of their own.
        EncodingScratch scratch = Interlocked.Exchange(ref _scratch, null) ?? new EncodingScratch();
        CollectionsMarshal.SetCount(scratch.Utf8, Encoding.UTF8.GetByteCount(text));
        Encoding.UTF8.GetBytes(text, CollectionsMarshal.AsSpan(scratch.Utf8));
        scratch.Normalized.Clear();
        _normalizer.Normalize(CollectionsMarshal.AsSpan(scratch.Utf8), scratch.Normalized);
        _segmenter.Segment(CollectionsMarshal.AsSpan(scratch.Normalized), scratch, ids);
        if (scratch.IsWorthKeeping) _scratch = scratch;
    }

    /// <summary>The text of <paramref name="ids"/>: control pieces vanish, bytes are joined, one leading space of the dummy prefix is dropped.</summary>
    /// <exception cref="GlmException">An id is not in the vocabulary.</exception>
    public string Decode(ReadOnlySpan<int> ids)
    {
        var output = new DecodedText();
        foreach (int id in ids) Decode(id, output);
        output.EndBytes();
        return output.Take();
    }

    /// <summary>Appends the byte pieces of <paramref name="bytes"/>; the model must have byte fallback.</summary>
    internal void AppendBytes(ReadOnlySpan<byte> bytes, List<int> ids) => _vocabulary.AppendBytes(bytes, ids);

    internal void Decode(int id, DecodedText output)
    {
        SentencePiece piece = _vocabulary[Check(id)];
        if (piece.Type == PieceType.Byte)
        {
            output.Append(_vocabulary.ByteOf(id));
            return;
        }
        output.EndBytes();
        if (piece.Type == PieceType.Control) return;
        if (piece.Type == PieceType.Unknown)
        {
            output.Append(Model.Trainer.UnknownSurface);
            return;
        }
        ReadOnlySpan<char> text = piece.Text;
        NormalizerSpec rules = Model.Normalizer;
        if (output.AtStart && (rules.AddDummyPrefix || rules.RemoveExtraWhitespaces) && text.StartsWith('\u2581'))
        {
            text = text[1..];
            // Where extra spaces are removed, every leading one is dropped, otherwise only that of the prefix.
            output.AtStart = rules.RemoveExtraWhitespaces;
        }
        output.AppendPiece(text);
    }

    private int Check(int id) => (uint)id < (uint)_vocabulary.Count ? id
        : throw new GlmException($"token id: expected 0 to {_vocabulary.Count - 1}, found {id}");
}
