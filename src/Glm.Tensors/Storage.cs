using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;

namespace Glm.Tensors;

/// <summary>Memory that tensors lie in: native and 64-byte aligned, or a file mapped for reading.</summary>
public abstract unsafe partial class Storage
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

    /// <summary>Lets the system take back the memory of pages that were read from a mapped file; they are read again when they are touched.</summary>
    internal virtual void ReleasePages(byte* data, long bytes) { }

    /// <summary>Lets a mapped file be read in large pages: faster over and over, wasteful where little of it is wanted.</summary>
    internal virtual void PreferLargePages() { }

    /// <summary>Lets the system's cache forget a file that was just written, so that it comes back in the pages that <see cref="Tensor.PreferLargePages"/> asks for.</summary>
    /// <param name="path">The file, flushed to the disk.</param>
    public static void ForgetCached(string path) => HugePages.Forget(path);

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

    /// <summary>A copy of elements that do not lie one after another: element (i, j, …) is the one at index first + i strides[0] + j strides[1] + …</summary>
    /// <param name="type">The type of the elements, of whole bytes.</param>
    /// <param name="offset">Where element 0 lies, in bytes; it need not be aligned.</param>
    /// <param name="first">Index of the first element.</param>
    /// <param name="shape">The dimensions, outermost first.</param>
    /// <param name="strides">Distances in elements, not negative; as many as dimensions.</param>
    /// <exception cref="GlmException">An element does not lie inside the storage.</exception>
    public Tensor Gather(DType type, long offset, long first, ReadOnlySpan<int> shape, ReadOnlySpan<long> strides)
    {
        if (shape.Length != strides.Length) throw new ArgumentException($"{strides.Length} strides do not belong to {Tensor.Describe(shape)}", nameof(strides));
        long size = type.Bytes(1);
        var last = (Int128)first;
        for (int i = 0; i < shape.Length; i++)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(strides[i], nameof(strides));
            last += (Int128)(shape[i] - 1) * strides[i];
        }
        if (Tensor.CountOf(shape) == 0) return Tensor.Allocate(type, shape);
        if (offset < 0 || first < 0 || (last + 1) * size > Bytes - offset) throw new GlmException($"elements up to {last} of {type} at offset {offset} do not fit into {Bytes} bytes");
        var result = Tensor.Allocate(type, shape);
        byte* target = result.Data;
        Gather(Data + offset + first * size, (int)size, shape, strides, ref target);
        GC.KeepAlive(this);
        return result;
    }

    private static void Gather(byte* source, int size, ReadOnlySpan<int> shape, ReadOnlySpan<long> strides, ref byte* target)
    {
        if (shape.Length == 0 || (shape.Length == 1 && strides[0] == 1))
        {
            long bytes = shape.Length == 0 ? size : (long)shape[0] * size;
            Buffer.MemoryCopy(source, target, bytes, bytes);
            target += bytes;
            return;
        }
        for (int i = 0; i < shape[0]; i++) Gather(source + i * strides[0] * size, size, shape[1..], strides[1..], ref target);
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

    private sealed partial class MappedStorage : Storage
    {
        private const int DoNotNeed = 4;

        private readonly MemoryMappedFile _file;
        private readonly MemoryMappedViewAccessor _view;

        private MappedStorage(string path, MemoryMappedFile file, MemoryMappedViewAccessor view, byte* data, long bytes) : base(data, bytes)
        {
            Path = path;
            _file = file;
            _view = view;
        }

        internal override string Path { get; }

        internal override void ReleasePages(byte* data, long bytes)
        {
            if (!OperatingSystem.IsLinux()) return;
            nint page = Environment.SystemPageSize, start = ((nint)data + page - 1) / page * page, end = (nint)(data + bytes) / page * page;
            if (end > start) _ = AdviseMemory(start, (nuint)(end - start), DoNotNeed);
        }

        internal override void PreferLargePages() => HugePages.Advise(Data, Bytes);

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

        [LibraryImport("libc", EntryPoint = "madvise")]
        private static partial int AdviseMemory(nint address, nuint length, int advice);
    }
}
