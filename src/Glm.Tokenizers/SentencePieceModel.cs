namespace Glm.Tokenizers;

/// <summary>
/// The content of a SentencePiece <c>.model</c> file (a protobuf <c>ModelProto</c>): the pieces and how text is prepared and cut.
/// Fields that are not interpreted here are kept and written back.
/// </summary>
public sealed record SentencePieceModel
{
    /// <summary>No real vocabulary comes near this size; a larger file is refused before it is read.</summary>
    private const long MaximumFileBytes = 256L << 20;

    /// <summary>The vocabulary; the id of a piece is its index.</summary>
    public required IReadOnlyList<SentencePiece> Pieces { get; init; }

    /// <summary>How text is cut.</summary>
    public TrainerSpec Trainer { get; init; } = new();

    /// <summary>How text is prepared.</summary>
    public NormalizerSpec Normalizer { get; init; } = new();

    private byte[] OtherFields { get; init; } = [];

    /// <summary>Reads a file.</summary>
    /// <exception cref="GlmException">The file is missing, too large, or not a SentencePiece model.</exception>
    public static SentencePieceModel Load(string path)
    {
        try
        {
            using FileStream stream = File.OpenRead(path);
            if (stream.Length > MaximumFileBytes)
                throw new GlmException($"{path}: expected a SentencePiece model of at most {MaximumFileBytes} bytes, found {stream.Length}");
            var bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            return Parse(bytes, path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{path}: cannot be read: {error.Message}", error);
        }
    }

    /// <summary>Reads the bytes of a file; <paramref name="name"/> stands for it in messages.</summary>
    /// <exception cref="GlmException">The bytes are not a SentencePiece model.</exception>
    public static SentencePieceModel Parse(ReadOnlySpan<byte> bytes, string name)
    {
        var pieces = new List<SentencePiece>();
        var other = new List<byte>();
        var trainer = new TrainerSpec();
        var normalizer = new NormalizerSpec();
        var reader = new ProtobufReader(bytes, name, "ModelProto");
        while (reader.Next())
            switch (reader.Field)
            {
                case 1: pieces.Add(ParsePiece(reader.ReadBytes(), name, pieces.Count)); break;
                case 2: trainer = ParseTrainer(reader.ReadBytes(), name); break;
                case 3: normalizer = ParseNormalizer(reader.ReadBytes(), name); break;
                default: reader.Keep(other); break;
            }
        if (pieces.Count == 0)
            throw new GlmException($"{name}: expected a SentencePiece model with pieces, found none");
        return new SentencePieceModel { Pieces = pieces, Trainer = trainer, Normalizer = normalizer, OtherFields = [.. other] };
    }

    /// <summary>Writes the file whole or not at all.</summary>
    /// <exception cref="GlmException">The file cannot be written.</exception>
    public void Save(string path) => AtomicFile.Write(path, stream => stream.Write(ToBytes()));

    /// <summary>The content of the file.</summary>
    public byte[] ToBytes()
    {
        var writer = new ProtobufWriter();
        foreach (SentencePiece piece in Pieces)
        {
            var message = new ProtobufWriter();
            message.Write(1, piece.Text);
            message.Write(2, piece.Score);
            if (piece.Type != PieceType.Normal) message.Write(3, (int)piece.Type);
            writer.Write(1, message.ToArray());
        }
        writer.Write(2, TrainerBytes());
        writer.Write(3, NormalizerBytes());
        writer.WriteRaw(OtherFields);
        return writer.ToArray();
    }

    private static SentencePiece ParsePiece(ReadOnlySpan<byte> bytes, string file, int id)
    {
        string text = "";
        float score = 0;
        var type = PieceType.Normal;
        var ignored = new List<byte>();
        var reader = new ProtobufReader(bytes, file, $"piece {id}");
        while (reader.Next())
            switch (reader.Field)
            {
                case 1: text = reader.ReadString(); break;
                case 2: score = reader.ReadFloat(); break;
                case 3: type = (PieceType)reader.ReadInt32(); break;
                default: reader.Keep(ignored); break;
            }
        if (text.Length == 0)
            throw new GlmException($"{file}: piece {id}: expected a text, found none");
        if (!float.IsFinite(score))
            throw new GlmException($"{file}: piece {id}: expected a finite score, found {score}");
        if (type is < PieceType.Normal or > PieceType.Byte)
            throw new GlmException($"{file}: piece {id}: expected a type from 1 to 6, found {(int)type}");
        return new SentencePiece(text, score, type);
    }

    private static TrainerSpec ParseTrainer(ReadOnlySpan<byte> bytes, string file)
    {
        var spec = new TrainerSpec();
        var other = new List<byte>();
        var reader = new ProtobufReader(bytes, file, "TrainerSpec");
        while (reader.Next())
            switch (reader.Field)
            {
                case 3:
                    var algorithm = (SentencePieceAlgorithm)reader.ReadInt32();
                    if (algorithm is not (SentencePieceAlgorithm.Unigram or SentencePieceAlgorithm.Bpe))
                        throw reader.Fault("model type 1 (unigram) or 2 (BPE)", $"{(int)algorithm}");
                    spec = spec with { ModelType = algorithm };
                    break;
                case 4: spec = spec with { VocabularySize = reader.ReadInt32() }; break;
                case 10: spec = spec with { CharacterCoverage = reader.ReadFloat() }; break;
                case 24: spec = spec with { TreatWhitespaceAsSuffix = reader.ReadBool() }; break;
                case 25: spec = spec with { SplitDigits = reader.ReadBool() }; break;
                case 35: spec = spec with { ByteFallback = reader.ReadBool() }; break;
                case 40: spec = spec with { UnknownId = reader.ReadInt32() }; break;
                case 41: spec = spec with { BosId = reader.ReadInt32() }; break;
                case 42: spec = spec with { EosId = reader.ReadInt32() }; break;
                case 43: spec = spec with { PadId = reader.ReadInt32() }; break;
                case 44: spec = spec with { UnknownSurface = reader.ReadString() }; break;
                default: reader.Keep(other); break;
            }
        return spec with { OtherFields = [.. other] };
    }

    private byte[] TrainerBytes()
    {
        var writer = new ProtobufWriter();
        writer.Write(3, (int)Trainer.ModelType);
        writer.Write(4, Trainer.VocabularySize);
        writer.Write(10, Trainer.CharacterCoverage);
        writer.Write(24, Trainer.TreatWhitespaceAsSuffix);
        writer.Write(25, Trainer.SplitDigits);
        writer.Write(35, Trainer.ByteFallback);
        writer.Write(40, Trainer.UnknownId);
        writer.Write(41, Trainer.BosId);
        writer.Write(42, Trainer.EosId);
        writer.Write(43, Trainer.PadId);
        writer.Write(44, Trainer.UnknownSurface);
        writer.WriteRaw(Trainer.OtherFields);
        return writer.ToArray();
    }

    private static NormalizerSpec ParseNormalizer(ReadOnlySpan<byte> bytes, string file)
    {
        var spec = new NormalizerSpec();
        var other = new List<byte>();
        var reader = new ProtobufReader(bytes, file, "NormalizerSpec");
        while (reader.Next())
            switch (reader.Field)
            {
                case 1: spec = spec with { Name = reader.ReadString() }; break;
                case 2: spec = spec with { PrecompiledCharsMap = reader.ReadBytes().ToArray() }; break;
                case 3: spec = spec with { AddDummyPrefix = reader.ReadBool() }; break;
                case 4: spec = spec with { RemoveExtraWhitespaces = reader.ReadBool() }; break;
                case 5: spec = spec with { EscapeWhitespaces = reader.ReadBool() }; break;
                default: reader.Keep(other); break;
            }
        return spec with { OtherFields = [.. other] };
    }

    private byte[] NormalizerBytes()
    {
        var writer = new ProtobufWriter();
        writer.Write(1, Normalizer.Name);
        if (!Normalizer.PrecompiledCharsMap.IsEmpty) writer.Write(2, Normalizer.PrecompiledCharsMap.Span);
        writer.Write(3, Normalizer.AddDummyPrefix);
        writer.Write(4, Normalizer.RemoveExtraWhitespaces);
        writer.Write(5, Normalizer.EscapeWhitespaces);
        writer.WriteRaw(Normalizer.OtherFields);
        return writer.ToArray();
    }
}
