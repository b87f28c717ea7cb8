using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;

namespace Glm.Tensors;

/// <summary>Memory that tensors lie in: native and 64-byte aligned, or a file mapped for reading.</summary>
public abstract unsafe class Storage
{
    private protected Storage(byte* data, long bytes)
    {
        Data = data;
        Bytes = bytes;
    }

    internal byte* Data { get; private protected set; }

    /// <summary>Size in bytes.</summary>
    public long Bytes { get; }

    /// <summary>The file that is mapped, if one is.</summary>
    internal virtual string? Path => null;

    /// <summary>Native memory, not cleared, freed when nothing refers to it any more.</summary>
    internal static Storage Native(long bytes) => new NativeStorage(bytes);

    /// <summary>Maps a file for reading; its pages are read when they are first touched and shared between processes.</summary>
    /// <exception cref="GlmException">The file is missing, empty or cannot be mapped.</exception>
    public static Storage Map(string path) => MappedStorage.Open(path);

    /// <summary>
    /// A tensor over a part of this storage, without a copy.
    /// </summary>
    /// <exception cref="GlmException">The part does not lie inside the storage.</exception>
    public Tensor View(DType type, long offset, params ReadOnlySpan<int> shape)
    {
        long bytes = type.Bytes(Tensor.CountOf(shape));
        if (offset < 0 || bytes > Bytes - offset)
            throw new GlmException($"a tensor of {bytes} bytes at offset {offset} does not fit into {Bytes} bytes");
        return new Tensor(this, Data + offset, type, shape);
    }

    private sealed class NativeStorage(long bytes)
        : Storage(Allocate(bytes), bytes)
    {
        private readonly long _pressure = AddPressure(bytes);

        private static byte* Allocate(long bytes)
        {
            if (bytes < HugePages.Bytes) return (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, 64), 64);
            byte* data = (byte*)NativeMemory.AlignedAlloc((nuint)bytes, HugePages.Bytes);
            HugePages.Advise(data, bytes);
            return data;
        }

        private static long AddPressure(long bytes)
        {
            if (bytes > 0) GC.AddMemoryPressure(bytes);
            return bytes;
        }

        ~NativeStorage()
        {
            NativeMemory.AlignedFree(Data);
            if (_pressure > 0) GC.RemoveMemoryPressure(_pressure);
        }
    }

    private sealed class MappedStorage : Storage
    {
        private readonly MemoryMappedFile _file;
        private readonly MemoryMappedViewAccessor _view;

        private MappedStorage(string path, MemoryMappedFile file, MemoryMappedViewAccessor view, byte* data, long bytes) : base(data, bytes)
        {
            Path = path;
            _file = file;
            _view = view;
        }

        internal override string Path { get; }

        public static MappedStorage Open(string path)
        {
            try
            {
                long length = new FileInfo(path).Length;
                if (length == 0) throw new GlmException($"{path}: the file is empty");
                var file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
                var view = file.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read);
                byte* data = null;
                view.SafeMemoryMappedViewHandle.AcquirePointer(ref data);
                return new MappedStorage(path, file, view, data + view.PointerOffset, length);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw new GlmException($"{path}: cannot be read: {error.Message}", error);
            }
        }

        ~MappedStorage()
        {
            _view.SafeMemoryMappedViewHandle.ReleasePointer();
            _view.Dispose();
            _file.Dispose();
        }
    }
}
