namespace Glm.Tensors;

/// <summary>Where a weight lies in a file, and the pieces that it is read in: whole panels of a packed weight, whole rows of another.</summary>
internal sealed class StreamedWeight
{
    private readonly long _offset, _unitBytes;
    private readonly int _units, _unitsPerPiece;

    public StreamedWeight(WeightStream stream, DirectFile file, long offset, long unitBytes, int units, int pieceBytes)
    {
        Stream = stream;
        File = file;
        _offset = offset;
        _unitBytes = unitBytes;
        _units = units;
        _unitsPerPiece = (int)Math.Clamp(pieceBytes / unitBytes, 1, units);
        Pieces = (units + _unitsPerPiece - 1) / _unitsPerPiece;
    }

    public WeightStream Stream { get; }

    public DirectFile File { get; }

    /// <summary>Number of pieces.</summary>
    public int Pieces { get; }

    /// <summary>The most bytes of a piece.</summary>
    public int PieceBytes => checked((int)(_unitsPerPiece * _unitBytes));

    /// <summary>The weight that was needed after this one the last time.</summary>
    public StreamedWeight? Successor { get; set; }

    /// <summary>The panels or rows of a piece.</summary>
    public (int First, int Last) Units(int piece) => (piece * _unitsPerPiece, Math.Min(_units, (piece + 1) * _unitsPerPiece));

    /// <summary>Where a piece lies in the file.</summary>
    public (long Offset, int Bytes) Place(int piece)
    {
        var (first, last) = Units(piece);
        return (_offset + first * _unitBytes, checked((int)((last - first) * _unitBytes)));
    }
}
